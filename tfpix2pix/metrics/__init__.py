"""Ways to judge generated images."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "build_metrics": "registry",
        "Metric": "registry",
        "Tools": "registry",
        "Examples": "registry",
    },
)
