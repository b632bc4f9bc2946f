"""Generated facades: one pair of label map and photo as a function of seed and index."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "draw_pair": "facades",
    },
)
