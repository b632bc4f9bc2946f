"""The command `reproduce`: the paper's tables, trained, scored and set beside the published ones."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "reproduce_table": "grid",
    },
)
