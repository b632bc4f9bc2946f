"""The data layer of tfpix2pix: datasets, their preparation, and tf.data pipelines.

The names below are imported when they are used, so that the catalogue stays free of TensorFlow.
"""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "open_split": "datasets",
        "build_dataset": "batches",
        "keep_resized": "batches",
        "find_dataset": "catalogue",
        "CATALOGUE": "catalogue",
    },
)
