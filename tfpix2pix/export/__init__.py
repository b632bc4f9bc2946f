"""The command `export`: a SavedModel for TensorFlow Serving, or a file for another runtime."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "export_saved_model": "saved_model",
        "find_version": "versions",
    },
)
