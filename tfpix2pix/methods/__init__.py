"""The training methods, one file each, whose step reads like its paper; and their losses.

Face: `pix2pix.TrainStep`, `build.build_train_step`.
"""
