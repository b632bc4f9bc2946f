"""The command `reproduce`: the paper's tables, trained, scored and set beside the published ones.

Face: `grid.reproduce_table`.
"""
