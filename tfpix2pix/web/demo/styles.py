"""The latent vector of a model as the demo offers it: the two directions that change pictures most."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from tfpix2pix.networks.inference import sample_seed
from tfpix2pix.networks.latent import STREAM, draw_normal

# Values of a vector beyond this are not what a generator was trained with; a Gaussian hardly draws them.
FARTHEST = 10.0
# So far from the middle, to both sides, pictures are compared.
STEP = 1.5

# Latent vectors, float32 [N, size] -> images, float32 [N, H, W, C].
Generate = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Style:
    """What the page knows of the latent vector.

    Attributes:
      size: number of its values.
      across: unit vector of the direction that changes pictures most.
      up: unit vector of the one that changes them most beside it; zeros for a vector of one value.
    """

    size: int
    across: tuple[float, ...]
    up: tuple[float, ...]


def find_style(generate: Generate, size: int) -> Style:
    """Finds the two directions: pictures on both sides of the middle are compared along each axis.

    Args:
      generate: makes images of one input with latent vectors.
      size: number of values of a vector, at least 1.
    """
    axes = STEP * np.eye(size, dtype=np.float32)
    images = generate(np.concatenate([axes, -axes]))
    differences = (images[:size] - images[size:]).reshape(size, -1).astype(np.float64)
    directions = np.linalg.svd(differences, full_matrices=False)[0].T[:2]
    # A direction and its opposite are one; the larger values shall be positive, so that a page is as before.
    signs = [1 if each[np.abs(each).argmax()] >= 0 else -1 for each in directions]
    across, *others = (tuple(map(float, sign * each)) for sign, each in zip(signs, directions, strict=True))
    return Style(size, across, others[0] if others else (0.0,) * size)


def draw_latents(noise_seed: int, samples: int, size: int) -> np.ndarray:
    """Returns the vectors that a generator draws for the samples of a seed, float32 [samples, size]."""
    seeds = np.stack([sample_seed(noise_seed, sample) for sample in range(samples)])
    return draw_normal(seeds, size, STREAM).numpy()


def read_latent(text: str, size: int) -> np.ndarray | None:
    """Returns the vector that a text says, float32 [size]; None if it says none of that size."""
    try:
        values = [float(value) for value in text.split(",")]
    except ValueError:
        return None
    fits = len(values) == size and all(math.isfinite(value) and abs(value) <= FARTHEST for value in values)
    return np.array(values, np.float32) if fits else None
