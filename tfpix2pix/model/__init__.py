"""pix2pix as one Keras model, for `compile`, `fit`, `evaluate`, `predict` and Keras's callbacks."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(__name__, {"Pix2Pix": "pix2pix"})
