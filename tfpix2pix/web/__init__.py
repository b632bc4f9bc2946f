"""What both web servers share: an application that is safe to put in front of strangers, and its limits."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "make_application": "application",
        "serve": "server",
    },
)
