"""What any training needs: the run's folder and lock, checkpoints, the loop, records, interruption."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "Training": "loop",
        "Judgement": "records",
        "Validation": "records",
        "load_generator": "generator",
        "checkpoints": "checkpoints",
        "folder": "folder",
    },
)
