"""Clusters of the features of instances, from which a generator draws where it has no target.

Source: Wang et al., CVPR 2018, Sec. 3.4, and `encode_features.py` of the original code.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.networks.instance_features import class_of, find_features
from tfpix2pix.networks.variables import weights_of
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.run.records import Judgement
from tfpix2pix.train.validation import cut_middle

# An instance counts if it has more than half of a 32nd of the pixels of its image, as in the original code.
LEAST_SHARE = 0.5 / 32

Points = npt.NDArray[np.float32]  # [N, features]


class _KMeans(NamedTuple):
    make: Any
    limit_threads: Callable[[int], AbstractContextManager]


def import_k_means() -> _KMeans:
    """Returns scikit-learn's k-means, and what keeps it to one thread.

    Raises:
      UserError: if scikit-learn is missing.
    """
    try:
        from sklearn.cluster import KMeans
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise UserError(
            "`instance_features` needs scikit-learn, which makes the clusters: "
            "pip install 'tfpix2pix[features]'"
        ) from error
    return _KMeans(KMeans, threadpool_limits)


class FeatureClusters:
    """Makes the clusters of a training's generator anew, and of the average of its weights, if it has one.

    A call encodes the first examples of the training split. The same weights, examples and seed give the same
    clusters, and no later step of the training depends on them.

    Args:
      config: says how many clusters a class has, and of how many examples.
      source: the pairs of the training split.
      train_step: a step of pix2pixHD with an encoder.
    """

    def __init__(self, config: Config, source: Source, train_step: Any):
        self._config, self._train_step = config, train_step
        self._dataset = build_dataset(
            source.take(config.feature_examples),
            image_size=config.image_size,
            batch_size=1,
            training=False,
            resize=config.resizes,
        )
        self._encoders: dict[str, Callable] = {}

    def __call__(self) -> None:
        """Makes the clusters from the present weights."""
        average = self._train_step.average
        models = [self._train_step.generator, *([average.model] if average else [])]
        layers: list[Any] = [find_features(model) for model in models]
        centers, counts = (np.zeros(weight.shape, np.float32) for weight in layers[0].weights)
        for place, points in self._collect().items():
            found = find_clusters(points, self._config.feature_clusters, self._config.seed)
            counts[place], centers[place, : len(found)] = len(found), found
        for model, layer in zip(models, layers, strict=True):
            variables = weights_of(model)
            variables[f"{layer.name}/centers"].assign(centers)
            variables[f"{layer.name}/counts"].assign(counts)

    def _collect(self) -> dict[int, Points]:
        """Returns the features of instances by the places of their classes.

        Small instances count only for a class that has no large one.
        """
        large, small = (collections.defaultdict[int, list](list) for _ in range(2))
        for place, share, features in self._encode():
            (large if share > LEAST_SHARE else small)[place].append(features)
        return {place: np.array(found) for place, found in {**small, **large}.items()}

    def _encode(self) -> Iterator[tuple[int, float, Points]]:
        """Yields the class, the share of the image's pixels and the features of each instance."""
        stage = self._train_step.stage
        if stage not in self._encoders:
            self._encoders[stage] = tf.function(self._train_step.encode, autograph=False)
        for example in self._dataset:
            batch = example if self._config.resizes else cut_middle(example, self._config.image_size)
            images = {name: batch[name] for name in self._train_step.inputs}
            features, instances = (tensor[0].numpy() for tensor in self._encoders[stage](images))
            numbers, first, counts = np.unique(instances, return_index=True, return_counts=True)
            found = features.reshape(-1, features.shape[-1])[first]
            for number, count, each in zip(numbers, counts, found, strict=True):
                yield class_of(number), count / instances.size, each


def with_clusters(
    judgement: Judgement | None, config: Config, train_step: Any, source: Source
) -> Judgement | None:
    """Returns how a training is scored and shown, with clusters of features before it if there are some.

    Args:
      judgement: how it is scored without them; None where another process does that.
      config: as for `FeatureClusters`.
      train_step: the training step, of any method.
      source: as for `FeatureClusters`.
    """
    if judgement is None or not config.instance_features or getattr(train_step, "encoder", None) is None:
        return judgement
    return dataclasses.replace(judgement, prepare=FeatureClusters(config, source, train_step))


def find_clusters(points: Points, most: int, seed: int) -> Points:
    """Returns the centers of at most so many clusters, the largest cluster first.

    Args:
      points: float32 [N, features], N at least 1.
      most: the largest number of clusters.
      seed: seed of k-means.
    """
    different, labels = np.unique(points, axis=0, return_inverse=True)
    centers = different
    if len(different) > most:
        k_means = import_k_means()
        with k_means.limit_threads(1):  # the order of a sum over threads would change bits
            fitted = k_means.make(most, n_init=10, random_state=seed).fit(points)
        centers, labels = fitted.cluster_centers_, fitted.labels_
    sizes = np.bincount(labels.ravel(), minlength=len(centers))
    return centers[np.argsort(-sizes, kind="stable")]
