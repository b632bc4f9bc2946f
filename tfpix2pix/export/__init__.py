"""The command `export`: a SavedModel for TensorFlow Serving, or a file for another runtime.

Face: `saved_model.export_saved_model`, `opening.find_version`.
"""
