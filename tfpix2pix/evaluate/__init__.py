"""The command `evaluate`: scores of a model on a split, and a page of pictures."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "evaluate_model": "evaluation",
        "Evaluation": "results",
    },
)
