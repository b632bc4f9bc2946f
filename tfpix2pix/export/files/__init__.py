"""One file for Keras, LiteRT or ONNX Runtime, compared with the generator before it appears."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "FileOptions": "formats",
        "build_portable_generator": "portable",
    },
)
