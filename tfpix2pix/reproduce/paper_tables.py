"""Tables of scores as plain data: what each row trains, what was published, and what they show.

They are those of the paper, and one that compares pix2pix with pix2pixHD.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tfpix2pix.pipelines.tasks.registry import ONE_HOT

SCORES = ("pixel_accuracy", "class_accuracy", "class_iou")


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
      title: title of the row in the paper.
      settings: field of `Config` -> its value, for settings that not all rows share.
      published: the paper's per-pixel accuracy, per-class accuracy and class IoU; None where no paper has
        scored the row in this way.
    """

    title: str
    settings: Mapping[str, Any]
    published: tuple[float, float, float] | None


@dataclasses.dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
      title: what the table compares.
      metric: `fcn_score` for labels -> photo, `label_accuracy` for photo -> labels.
      rows: the rows in the paper's order.
      orders: titles of a better and a worse row, for each comparison that the paper makes, or that is
        expected where nothing was published.
      batch_size: batch size of the trainings.
      ground_truth: the published scores of the real photos, if there are any.
    """

    title: str
    metric: str
    rows: tuple[Row, ...]
    orders: tuple[tuple[str, str], ...]
    batch_size: int = 1
    ground_truth: tuple[float, float, float] | None = None

    @property
    def direction(self) -> str:
        """Returns the direction of the translation. Label maps are on the right side of a pair."""
        return "BtoA" if self.metric == "fcn_score" else "AtoB"


def _row(title: str, published: tuple[float, float, float] | None, **settings: Any) -> Row:
    return Row(title, MappingProxyType(settings), published)


# Fig. 7: how much of the histograms of L, a and b of generated photos lies in those of real ones. It is of
# Cityscapes too, labels to photo; `evaluate --metrics=histogram_intersection` gives the same scores of a run.
INTERSECTIONS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "L1": {"L": 0.81, "a": 0.69, "b": 0.70},
        "cGAN": {"L": 0.87, "a": 0.74, "b": 0.84},
        "L1+cGAN": {"L": 0.86, "a": 0.84, "b": 0.82},
        "PixelGAN": {"L": 0.83, "a": 0.68, "b": 0.78},
    }
)

_ENCODED = {"input_encoding": ONE_HOT, "boundaries": True}
# From v3 of the paper, on Cityscapes. The per-class values of Table 2 are not confirmed.
TABLES: Mapping[str, Table] = MappingProxyType(
    {
        "1": Table(
            "losses, labels to photo",
            "fcn_score",
            (
                _row("L1", (0.42, 0.15, 0.11), objective="l1"),
                _row("GAN", (0.22, 0.05, 0.01), objective="gan"),
                _row("cGAN", (0.57, 0.22, 0.16), objective="cgan"),
                _row("L1+GAN", (0.64, 0.20, 0.15), objective="l1+gan"),
                _row("L1+cGAN", (0.66, 0.23, 0.17), objective="l1+cgan"),
            ),
            (
                ("L1+cGAN", "L1"),
                ("L1+cGAN", "cGAN"),
                ("L1+cGAN", "L1+GAN"),
                ("cGAN", "GAN"),
                ("L1+GAN", "GAN"),
                ("cGAN", "L1"),
            ),
            ground_truth=(0.80, 0.26, 0.21),
        ),
        "2": Table(
            "generators, labels to photo",
            "fcn_score",
            (
                _row("encoder-decoder, L1", (0.35, 0.12, 0.08), generator="encoder_decoder", objective="l1"),
                _row("encoder-decoder, L1+cGAN", (0.29, 0.09, 0.05), generator="encoder_decoder"),
                _row("U-Net, L1", (0.48, 0.18, 0.13), objective="l1"),
                _row("U-Net, L1+cGAN", (0.55, 0.20, 0.14)),
            ),
            (
                ("U-Net, L1", "encoder-decoder, L1"),
                ("U-Net, L1+cGAN", "encoder-decoder, L1+cGAN"),
                ("U-Net, L1+cGAN", "U-Net, L1"),
                ("encoder-decoder, L1", "encoder-decoder, L1+cGAN"),
            ),
            batch_size=10,
        ),
        "3": Table(
            "receptive fields of the discriminator, labels to photo",
            "fcn_score",
            (
                _row("1x1", (0.39, 0.15, 0.10), receptive_field=1),
                _row("16x16", (0.65, 0.21, 0.17), receptive_field=16),
                _row("70x70", (0.66, 0.23, 0.17)),
                _row("286x286", (0.42, 0.16, 0.11), receptive_field=286),
            ),
            (("70x70", "1x1"), ("16x16", "1x1"), ("70x70", "16x16"), ("70x70", "286x286")),
        ),
        "6": Table(
            "losses, photo to labels",
            "label_accuracy",
            (
                _row("L1", (0.86, 0.42, 0.35), objective="l1"),
                _row("cGAN", (0.74, 0.28, 0.22), objective="cgan"),
                _row("L1+cGAN", (0.83, 0.36, 0.29)),
            ),
            (("L1", "L1+cGAN"), ("L1+cGAN", "cGAN")),
        ),
        # Wang et al., CVPR 2018, compare the methods in this way, at another size and by another network.
        "hd": Table(
            "pix2pix and pix2pixHD, labels to photo",
            "fcn_score",
            (
                _row("pix2pix", None),
                _row("pix2pix, one-hot", None, **_ENCODED),
                _row("pix2pixHD", None, method="pix2pixhd", **_ENCODED),
            ),
            (("pix2pixHD", "pix2pix"), ("pix2pixHD", "pix2pix, one-hot"), ("pix2pix, one-hot", "pix2pix")),
        ),
    }
)
