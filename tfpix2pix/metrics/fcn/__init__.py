"""FCN-8s, the segmentation network behind the FCN-score, and the command that trains it."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "train_fcn": "training",
        "load_segmenter": "segmenter",
        "fcn8s": "network",
    },
)
