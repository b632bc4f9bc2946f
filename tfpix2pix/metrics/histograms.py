"""Whether generated colours are as often used as real ones (Sec. 4.2 and Fig. 7)."""

import numpy as np
import numpy.typing as npt

from tfpix2pix.metrics.registry import Examples, Metric, NotApplicableError, Partials, Pictures, Result, Tools
from tfpix2pix.pipelines.tasks.lab import rgb_to_lab

# The paper does not say which bins it uses. Ours are one unit wide, which is about the least
# difference that people notice. The a and b of sRGB lie in [-108, 99].
RANGES = {"L": (0, 100), "a": (-110, 110), "b": (-110, 110)}


def histogram_intersection(tools: Tools) -> Metric:
    """Overlap of the histograms of L, a and b with those of the ground truth, in [0, 1]."""
    if tools.label_side == "target":
        raise NotApplicableError(
            "histogram_intersection compares the colours of photos, and this model generates label maps: "
            "take label_accuracy"
        )
    if tools.channels != 3:
        raise NotApplicableError(
            f"histogram_intersection compares colours, and this model generates images of {tools.channels} "
            "channels: take l1, psnr or ssim"
        )
    return Metric(_measure, _combine, higher_is_better=True)


def count_colours(pictures: Pictures) -> dict[str, npt.NDArray[np.int32]]:
    """Counts the pixels of each image in bins of L, a and b, one unit wide.

    Args:
      pictures: uint8 [B, H, W, 3], sRGB.

    Returns:
      Counts, int32 [B, bins], for each name in `RANGES`. Values outside a range, which
      only rounding can cause, are counted in its first or last bin.
    """
    lab = rgb_to_lab(np.asarray(pictures, np.float32) / 255).numpy()
    counts = {}
    for channel, (name, (low, high)) in enumerate(RANGES.items()):
        bins = high - low
        places = np.clip(np.floor(lab[..., channel]).astype(np.int32) - low, 0, bins - 1)
        rows = [np.bincount(image.ravel(), minlength=bins) for image in places]
        counts[name] = np.array(rows, np.int32).reshape(-1, bins)
    return counts


def intersect(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the overlap of two histograms: the sum over all bins of the smaller share.

    Args:
      first: counts [..., bins].
      second: counts of the same shape.

    Returns:
      float64 [...] in [0, 1]: 1 if all shares are equal, 0 if no bin is filled in both,
      NaN if one of the two is empty.
    """
    return np.minimum(_shares(first), _shares(second)).sum(-1)


def _shares(counts: np.ndarray) -> np.ndarray:
    totals = counts.sum(-1, keepdims=True)
    return np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)


def _measure(examples: Examples) -> Partials:
    kinds = {"generated": examples.generated_picture, "target": examples.target_picture}
    return {
        f"{kind} {name}": counts
        for kind, pictures in kinds.items()
        for name, counts in count_colours(pictures).items()
    }


def _combine(partials: Partials) -> Result:
    totals = {key: counts.sum(axis=0, dtype=np.int64) for key, counts in partials.items()}
    return Result(
        {name: float(intersect(totals[f"generated {name}"], totals[f"target {name}"])) for name in RANGES},
        per_image={
            name: intersect(partials[f"generated {name}"], partials[f"target {name}"]) for name in RANGES
        },
        details={
            "histograms": {
                name: {
                    "low": low,
                    "high": high,
                    "generated": _shares(totals[f"generated {name}"]).tolist(),
                    "target": _shares(totals[f"target {name}"]).tolist(),
                }
                for name, (low, high) in RANGES.items()
            }
        },
    )
