"""The command `study`: the paper's real-vs-fake study, from making its folder to serving its pages."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "create_study": "creation",
        "make_study_application": "application",
        "Study": "folder",
    },
)
