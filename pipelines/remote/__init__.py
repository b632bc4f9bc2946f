"""Files of stores that fsspec reaches: S3, Google Cloud Storage, web servers, the memory of the process."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {"Store": "store", "fetch_folder": "copies", "fetch_file": "copies", "send_folder": "copies"},
)
