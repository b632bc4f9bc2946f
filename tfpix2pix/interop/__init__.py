"""Weights from and to elsewhere: pytorch-CycleGAN-and-pix2pix, the models that it publishes, and the Hub."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "fetch": "fetching",
        "import_run": "torch_import",
        "export_weights": "torch_export",
        "push_to_hub": "hub",
        "write_hub_folder": "hub",
    },
)
