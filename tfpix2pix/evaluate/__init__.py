"""The command `evaluate`: scores of a model on a split, and a page of pictures.

Face: `evaluation.evaluate_model`.
"""
