"""Converts weights of pytorch-CycleGAN-and-pix2pix into runs, and the networks of runs into such weights."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "import_run": "torch_import",
        "export_weights": "torch_export",
    },
)
