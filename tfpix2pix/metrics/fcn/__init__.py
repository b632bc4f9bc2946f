"""FCN-8s, the segmentation network behind the FCN-score, and the command that trains it.

Face: `training.train_fcn`, `segmenter.load_segmenter`.
"""
