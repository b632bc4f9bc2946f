"""A trained generator for other runtimes: Keras without this package, LiteRT, ONNX."""
