"""One file for Keras, LiteRT or ONNX Runtime, compared with the generator before it appears.

Face: `export_file.export_run`.
"""
