"""Latent vectors as a caller gives them. TensorFlow is not imported."""

import numpy as np
import numpy.typing as npt

from tfpix2pix.pipelines.base.errors import UsageError


def spread_latents(latent: npt.ArrayLike, count: int, size: int) -> npt.NDArray[np.float32]:
    """Returns the latent vector of each image, float32 [count, size].

    Args:
      latent: the vector of all images, [size], or of each, [count, size].
      count: number of images.
      size: number of values of a vector.

    Raises:
      UsageError: for another shape, or values that are no finite numbers of 32 bits.
    """
    expected = f"`latent` must be [{size}], for all images, or [{count}, {size}], for each"
    try:
        with np.errstate(over="ignore"):  # what is too large becomes infinite
            values = np.asarray(latent, np.float32)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{expected}, of numbers. Received: {error}") from error
    if values.shape not in ((size,), (count, size)):
        raise UsageError(f"{expected}. Received: shape {list(values.shape)}")
    if not np.isfinite(values).all():
        raise UsageError("`latent` must be of finite numbers. Received: NaN or infinity")
    return np.broadcast_to(values, (count, size))
