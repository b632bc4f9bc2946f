"""The command `translate`: image files through a trained run or a SavedModel.

Face: `translator.Translator`, `translator.translate_images`.
"""
