"""What a model learns: from pairs, or from single photos to colour them, fill holes, or follow drawings."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "TASKS": "registry",
        "TaskSpec": "registry",
        "Task": "tasks",
        "make_task": "tasks",
        "to_unit_range": "transforms",
        "to_uint8": "transforms",
    },
)
