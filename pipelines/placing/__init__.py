"""Puts datasets in place: downloads, archives, two folders joined into pairs.

Face: `dataset_folder.prepare_dataset`, `dataset_folder.find_dataset_folder`, `combine.combine_folders`.
"""
