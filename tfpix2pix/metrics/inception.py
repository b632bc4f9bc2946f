"""FID and KID: distances between the features that InceptionV3 finds in generated and in real photos.

The weights are those that Keras publishes, trained on ImageNet. Published FIDs come
from other weights, so scores of this module can only be compared with each other.
"""

import contextlib
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.config.choices import IMAGENET
from tfpix2pix.metrics.registry import Examples, Metric, NotApplicableError, Partials, Pictures, Result, Tools
from tfpix2pix.pipelines.base.errors import UserError, shorten
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.pipelines.tasks.transforms import to_unit_range

IMAGE_SIZE = (299, 299)
NUM_FEATURES = 2048
SUBSET_SEED = 0

# uint8 [B, H, W, 3] -> float32 [B, features].
Extract = Callable[[Pictures], np.ndarray]


def fid(tools: Tools) -> Metric:
    """Frechet distance between two Gaussians that fit the features of generated and of real photos."""
    return Metric(_measure(tools), combine_fid, higher_is_better=False)


def kid(tools: Tools) -> Metric:
    """Squared maximum mean discrepancy of the features; it is unbiased, so it suits small splits too."""
    return Metric(_measure(tools), combine_kid, higher_is_better=False)


def combine_fid(features: Partials) -> Result:
    """Returns the FID.

    Args:
      features: `generated` and `target`, each [N, features].

    Raises:
      UserError: for a single image.
    """
    count = _check_count(features, "fid")
    if count < NUM_FEATURES:
        warn(
            f"the fid of {count} images, fewer than its {NUM_FEATURES} features, is too high and depends on "
            "their number: compare only splits of the same size, or take kid"
        )
    moments = []
    for kind in ("generated", "target"):
        rows = features[kind].astype(np.float64)
        moments += [rows.mean(axis=0), np.cov(rows, rowvar=False)]
    return Result({"fid": frechet_distance(*moments)}, details={"images": count})


def combine_kid(features: Partials, max_subsets: int = 100, subset_size: int = 1000) -> Result:
    """Returns the mean and the standard deviation of the KID over random subsets.

    The defaults are those of the authors' code.

    Args:
      features: `generated` and `target`, each [N, features].
      max_subsets: number of subsets that are drawn if N is larger than one subset.
      subset_size: number of images in a subset.

    Raises:
      UserError: for a single image.
    """
    count = _check_count(features, "kid")
    size = min(count, subset_size)
    draws = np.random.default_rng(SUBSET_SEED)
    # A small split has only one subset, which is all of it.
    subsets = max_subsets if count > size else 1
    values = [
        kernel_distance(
            features["generated"][draws.permutation(count)[:size]],
            features["target"][draws.permutation(count)[:size]],
        )
        for _ in range(subsets)
    ]
    details = {"subsets": subsets, "subset_size": size, "subset_seed": SUBSET_SEED}
    return Result(
        {"kid": float(np.mean(values))}, details={**details, "standard_deviation": float(np.std(values))}
    )


def frechet_distance(
    first_mean: np.ndarray,
    first_covariance: np.ndarray,
    second_mean: np.ndarray,
    second_covariance: np.ndarray,
) -> float:
    """Returns |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

    Args:
      first_mean: float64 [D].
      first_covariance: float64 [D, D], symmetric, without negative eigenvalues.
      second_mean: float64 [D].
      second_covariance: float64 [D, D], symmetric, without negative eigenvalues.

    Source: Heusel et al. 2017, Sec. 4. With S = C1^(1/2), the root of C1 C2 has the same
    trace as the root of S C2 S, which is symmetric and therefore has real eigenvalues.
    """
    values, vectors = np.linalg.eigh(np.atleast_2d(first_covariance))
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ np.atleast_2d(second_covariance) @ root)
    traces = np.trace(np.atleast_2d(first_covariance)) + np.trace(np.atleast_2d(second_covariance))
    mean_term = np.sum(np.square(first_mean - second_mean))
    return float(mean_term + traces - 2 * np.sqrt(np.maximum(inner, 0)).sum())


def kernel_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the unbiased estimate of the squared MMD with the kernel (x . y / D + 1)^3.

    Args:
      first: [N, D]; N is at least 2.
      second: [N, D].

    Source: Binkowski et al. 2018, Sec. 4; Gretton et al. 2012, Lemma 6.
    """
    first, second = first.astype(np.float64), second.astype(np.float64)
    size, dimensions = first.shape

    def kernel(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        base = left @ right.T / dimensions + 1
        return base * base * base  # This is ten times as fast as a power.

    own = sum(each.sum() - np.trace(each) for each in (kernel(first, first), kernel(second, second)))
    return float(own / (size * (size - 1)) - 2 * kernel(first, second).mean())


def measure_features(extract: Extract, examples: Examples) -> Partials:
    """Returns the features of generated and of real photos, [B, features] each."""
    return {
        "generated": extract(examples.generated_picture),
        "target": extract(examples.target_picture),
    }


def load_inception(weights: Path | None) -> Extract:
    """Builds InceptionV3 up to its last pooling.

    Args:
      weights: file of weights without the top, as Keras publishes it; None lets Keras
        download it.

    Returns:
      A function: pictures, uint8 [B, H, W, 3] -> features, float32 [B, 2048].

    Raises:
      UserError: if the file does not exist or holds other weights, or if the download
        fails.
    """
    if weights is not None and not weights.is_file():
        raise UserError(f"`inception_weights={weights}`: there is no such file")
    try:
        # Keras reports its download on standard output, which is for results.
        with contextlib.redirect_stdout(sys.stderr):
            network = keras.applications.InceptionV3(
                include_top=False,
                weights=str(weights) if weights else IMAGENET,
                pooling="avg",
                input_shape=(*IMAGE_SIZE, 3),
            )
    # Keras raises a plain Exception if a download fails, and various errors for other files.
    except Exception as error:
        reason = shorten(error)
        raise UserError(
            f"`inception_weights={weights}` does not hold the weights of Keras's InceptionV3 without its "
            f"top: {reason}"
            if weights
            else f"the weights of InceptionV3 cannot be downloaded ({reason}): give their file, "
            "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5, as `inception_weights`"
        ) from error

    @tf.function(reduce_retracing=True, autograph=False)
    def extract(pictures: tf.Tensor) -> tf.Tensor:
        images = tf.image.resize(to_unit_range(pictures), IMAGE_SIZE, antialias=True)
        return network(images, training=False)

    return lambda pictures: extract(tf.constant(pictures)).numpy()


@functools.lru_cache(maxsize=1)
def _measure(tools: Tools) -> Callable[[Examples], Partials]:
    # Both metrics get the same function, so that they share the features.
    if tools.label_side == "target":
        raise NotApplicableError("fid and kid compare photos, and this model generates label maps")
    extract: Any = load_inception(tools.inception_weights) if tools.loads_networks else None
    return functools.partial(measure_features, extract)


def _check_count(features: Partials, name: str) -> int:
    count = len(features["generated"])
    if count < 2:
        raise UserError(f"{name} compares distributions of images: give a split with more than one image")
    return count
