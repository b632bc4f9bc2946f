"""The command `translate`: image files through a trained run or a SavedModel."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "Translator": "translator",
        "translate_images": "arrays",
    },
)
