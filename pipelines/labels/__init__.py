"""The classes of label maps: palettes, colours to class ids and back, maps that hold ids."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "Palette": "palettes",
        "find_palette": "palettes",
        "give_meaning": "id_maps",
    },
)
