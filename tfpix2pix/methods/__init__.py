"""The training methods, one file each, whose step reads like its paper; and their losses."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "TrainStep": "pix2pix",
        "HDTrainStep": "pix2pixhd",
        "Step": "step",
        "TranslationStep": "step",
        "build_train_step": "build",
        "build_adam": "optimizers",
    },
)
