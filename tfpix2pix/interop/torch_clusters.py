"""Clusters of the features of instances, as pix2pixHD's `encode_features.py` writes them.

Such a file, `features_clustered_010.npy`, holds a pickled dictionary: id of a class -> [clusters, features].
A class that has no instance is missing.
"""

import io
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfpix2pix.networks.instance_features import DrawFeatures
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UserError

Clusters = Mapping[int, np.ndarray]
# What a pickle of arrays in a dictionary calls; earlier versions of NumPy call `_core` otherwise.
_OF_ARRAYS = {
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


class _ArraysOnly(pickle.Unpickler):
    """Reads arrays, numbers and what holds them, and executes nothing else."""

    def find_class(self, module, name):
        module = module.replace("numpy.core", "numpy._core")
        if (module, name) not in _OF_ARRAYS:
            raise pickle.UnpicklingError(f"it holds {module}.{name}")
        return super().find_class(module, name)


def read_clusters(path: Path) -> Clusters:
    """Reads the clusters of each class.

    Args:
      path: a file that `encode_features.py` has written.

    Returns:
      Id of a class -> float32 [clusters, features].

    Raises:
      UserError: if the file holds something else.
    """
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            is_first = version == (1, 0)
            read = np.lib.format.read_array_header_1_0 if is_first else np.lib.format.read_array_header_2_0
            if not read(file)[2].hasobject:
                raise ValueError("it holds an array")
            loaded = _ArraysOnly(file, encoding="latin1").load().item()
        clusters = {int(label): np.asarray(values, np.float32) for label, values in loaded.items()}
        sizes = {values.shape[1] if values.ndim == 2 else 0 for values in clusters.values()}
        if len(sizes) != 1 or 0 in sizes or not all(map(len, clusters.values())):
            raise ValueError("its classes have no clusters of as many features each")
    except (pickle.UnpicklingError, ValueError, TypeError, AttributeError, EOFError, LookupError) as error:
        raise UserError(
            f"{path} cannot be read as clusters of features ({str(error).strip()[:200]}); expected what "
            "encode_features.py of pix2pixHD writes, such as features_clustered_010.npy"
        ) from error
    return clusters


def write_clusters(path: Path, clusters: Clusters) -> None:
    """Writes clusters as `read_clusters` reads them; the file appears whole or not at all."""
    buffer = io.BytesIO()
    np.save(buffer, np.array({int(label): values for label, values in clusters.items()}, dtype=object))
    staging.write_file(path, buffer.getvalue())


def most_clusters(clusters: Clusters) -> int:
    """Returns the largest number of clusters of a class."""
    return max(map(len, clusters.values()))


def set_clusters(layer: DrawFeatures, clusters: Clusters, channels: Sequence[int], source: object) -> None:
    """Gives a generator its clusters.

    Args:
      layer: the layer that draws features.
      clusters: those of each class, by its id there.
      channels: the id of each class of the layer.
      source: the file that they come from, for messages.

    Raises:
      UserError: if they are those of other classes or of other features.
    """
    size = next(iter(clusters.values())).shape[1]
    if size != layer.size or not set(clusters) <= set(channels):
        raise UserError(
            f"the files are not of one run: {source} holds clusters of {size} features of the classes "
            f"{', '.join(map(str, sorted(clusters)))}, and the generator sees {layer.size} features of "
            f"{len(channels)} classes"
        )
    centers, counts = (np.zeros(weight.shape, np.float32) for weight in (layer.centers, layer.counts))
    for channel, found in clusters.items():
        place = channels.index(channel)
        counts[place] = len(found)
        centers[place, : len(found)] = found
    layer.set_weights([centers, counts])


def get_clusters(layer: DrawFeatures, channels: Sequence[int]) -> Clusters:
    """Returns the clusters of a generator, by the id of each class in pix2pixHD's code.

    Args:
      layer: the layer that draws features.
      channels: the id of each class of the layer.
    """
    centers, counts = layer.get_weights()
    return {
        channel: centers[place, : int(counts[place])]
        for place, channel in enumerate(channels)
        if counts[place]
    }
