"""Tensors as pictures for people: contact sheets, PNG files, pages."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "show_examples": "examples",
        "contact_sheet": "sheets",
        "patch_map": "sheets",
        "show_image": "examples",
        "write_png": "sheets",
        "render_gallery": "page",
    },
)
