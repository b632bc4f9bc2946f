"""Generated facades: each pair of a label map and a photo is a function of a seed and an index."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "draw_pair": "facades",
    },
)
