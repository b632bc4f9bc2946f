"""The command `web.demo`: draw in the browser and watch it become a picture."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "make_demo": "application",
    },
)
