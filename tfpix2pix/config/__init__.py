"""The settings of a run: each is a field, a flag, a check and a line of JSON. TensorFlow is not imported."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "Config": "fields",
        "RunConfig": "run_config",
        "make_config": "config",
        "options": "options",
    },
)
