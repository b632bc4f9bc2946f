"""From image files to pairs of images: which files make a pair, how they are decoded and kept."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "Source": "sources",
        "open_source": "sources",
        "from_arrays": "sources",
        "BadImageError": "image_files",
    },
)
