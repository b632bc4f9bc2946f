"""The command `train`: restores, trains, validates, keeps records, exports.

Face: `training.train_and_evaluate`.
"""
