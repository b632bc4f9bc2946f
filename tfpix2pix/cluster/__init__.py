"""Training and translating on Ray: a cluster that starts workers, and starts them again."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "Gang": "gang",
        "connect": "connection",
        "train_on_ray": "gang",
        "translate_on_ray": "parts",
    },
)
