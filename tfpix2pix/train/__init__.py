"""The command `train`: restores, trains, validates, keeps records, exports."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "train_and_evaluate": "training",
        "Result": "training",
    },
)
