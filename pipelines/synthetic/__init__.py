"""Generated facades: one pair of label map and photo as a function of seed and index.

Face: `facades.draw_pair`.
"""
