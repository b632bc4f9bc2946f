"""Puts datasets in place: downloads, archives, two folders joined into pairs, record shards."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "prepare_dataset": "dataset_folder",
        "find_dataset_folder": "dataset_folder",
        "combine_folders": "combine",
        "pack_shards": "pack",
    },
)
