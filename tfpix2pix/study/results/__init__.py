"""What the answers of a study say: exclusions, fooling rates, intervals, a report and a plot."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "write_results": "write",
    },
)
