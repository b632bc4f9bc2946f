"""What a model learns: from pairs, or from single photos their colours, holes or edges.

Face: `tasks.Task`, `tasks.make_task`, and the ranges and jitter of `transforms`.
"""
