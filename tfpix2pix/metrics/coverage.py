"""How near the samples of an input come to its target, which is one of many that would be right."""

import math

import numpy as np
import tensorflow as tf

from tfpix2pix.metrics.registry import Examples, Metric, NotApplicableError, Partials, Result, Tools

# Two of 255 gray levels, in values from -1 to 1: the least gain that counts, and the least spread seen.
VISIBLE = 4 / 255
_NEAREST = "nearest_of_{}"


def coverage(tools: Tools) -> Metric:
    """L1 of the nearest of N samples, and the share of images of which it is not visibly nearer than one."""
    count = tools.samples_per_image
    if count < 2:
        raise NotApplicableError("coverage takes the nearest of samples: give `samples_per_image=2` or more")
    numbers = list_numbers(count)

    def measure(examples: Examples) -> Partials:
        distances = tf.reduce_mean(tf.abs(examples.generated_samples - examples.target_image), [2, 3, 4])
        return {_NEAREST.format(number): expect_nearest(distances.numpy(), number) for number in numbers}

    def combine(partials: Partials) -> Result:
        nearest = {number: partials[_NEAREST.format(number)] for number in numbers}
        scores = {_NEAREST.format(number): _mean(values) for number, values in nearest.items()}
        gains = {number: nearest[1] - nearest[number] for number in numbers[1:]}
        scores |= {f"no_gain_by_{number}": _mean(gain < VISIBLE) for number, gain in gains.items()}
        return Result(scores, per_image={_NEAREST.format(count): nearest[count]})

    return Metric(measure, combine, higher_is_better=False, samples=count)


def list_numbers(count: int) -> list[int]:
    """Returns the numbers of samples of which the nearest is taken: 1, 2, 4 and so on, and all."""
    return sorted({count, *(2**power for power in range(count.bit_length()))})


def expect_nearest(distances: np.ndarray, number: int) -> np.ndarray:
    """Returns the distance of the nearest of some samples, averaged over all choices of that many.

    Args:
      distances: float [S, B], of S samples of each of B images to its target.
      number: how many of the S samples are chosen, from 1 to S.

    Returns:
      float64 [B].
    """
    count = len(distances)
    # The nearest of a choice is that of rank r, where the others are among the S - r - 1 that are farther.
    choices = np.array([math.comb(count - rank - 1, number - 1) for rank in range(count)], float)
    return choices @ np.sort(distances, axis=0).astype(np.float64) / math.comb(count, number)


def _mean(values: np.ndarray) -> float:
    return float(values.mean(dtype=np.float64))
