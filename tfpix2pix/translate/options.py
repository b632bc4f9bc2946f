"""What is done to image files on their way into a model and out of it. TensorFlow is not imported."""

import dataclasses
import re
from collections.abc import Sequence
from typing import TypeVar

from tfpix2pix.pipelines.base.errors import UsageError

CROPS = ("none", "left", "right")
BITS = ("8", "16")
HOLES = ("center",)
# The kinds of files that outputs can be written as, and their suffixes.
SUFFIXES = {"png": ".png", "jpeg": ".jpg", "tiff": ".tif", "webp": ".webp", "npy": ".npy"}
FORMATS = tuple(SUFFIXES)
# The strip and the animation of an interpolation hold so many outputs, all of which are in memory at once.
MOST_BETWEEN = 1000
Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """How image files are translated.

    Attributes:
      noise_seed: seed of the noise, which is the same for every file.
      samples_per_image: number of outputs of each file, each with other noise.
      crop: `left` or `right`, if the files are side-by-side pairs of which that half is the input; `none` if
        they are not. None takes files for pairs that have the shape of the pairs of the training.
      bits: `8` or `16`, the depth of outputs that are no arrays, or are arrays because `format` says so; None
        gives the outputs the depth of the training's targets, or that of their input where those are not
        known.
      hole: `center`, if the middle of each picture is cut out for an inpainting model to fill; None leaves
        the pictures as they are, with the transparent parts as their holes.
      draw_edges: whether the files are photos and a model of drawings gets their edges.
      format: a name in `FORMATS`, the kind of file that every output is written as; None takes that of the
        training's targets, see `image_inputs.choose_suffix`.
      batch_size: number of images that are translated at the same time, each by itself.
      resume: whether files whose outputs exist already are left out.
      instances: folder of maps of instances, which have the names of the images, for a model with
        `boundaries`; None takes the classes for the instances.
      latent_from: a noise seed, or a file of a picture, whose latent vector all outputs get; None draws
        the latent vector from `noise_seed`.
      interpolate: `A:B:N`, for a strip and an animation of N outputs of each file, whose latent vectors go
        from A to B, each a noise seed or a file of a picture; None for outputs as usual. The strip is a PNG
        and the animation a WebP, both of 8 bits, so `format` and `bits` do not go with it.
      feature_from: file of a picture, or folder of pictures that have the names of the images: each instance
        gets the features that the encoder finds in its pixels of the picture; None draws them from
        `noise_seed`. It is for a run with `instance_features`.
      shard: `i/n`: of every n files the i-th is translated, from `1/n` to `n/n`.

    Raises:
      UsageError: for a shard or an interpolation that is not one, for an empty name, or for options that
        exclude each other.
    """

    noise_seed: int = 0
    samples_per_image: int = 1
    crop: str | None = None
    bits: str | None = None
    hole: str | None = None
    draw_edges: bool = False
    format: str | None = None
    batch_size: int = 4
    resume: bool = False
    latent_from: str | None = None
    interpolate: str | None = None
    shard: str = "1/1"
    instances: str | None = None
    feature_from: str | None = None

    def __post_init__(self):
        number, count = self._shard()
        if not 1 <= number <= count:
            raise UsageError(
                "`shard` is i/n with i from 1 to n, such as 1/4 for the first of four machines. "
                f"Received: {self.shard}"
            )

        for name in ("latent_from", "interpolate", "instances", "feature_from"):
            if getattr(self, name) == "":  # as from a variable of a shell that is not set
                raise UsageError(f"`{name}` is empty; give it a value, or leave it out")
        if self.interpolate:
            _ = self.ends  # which raises
            if given := [f"`{name}`" for name in ("format", "bits") if getattr(self, name)]:
                raise UsageError(
                    "`interpolate` writes a strip as a PNG and an animation as a WebP, both of 8 bits; leave "
                    f"out {' and '.join(given)}"
                )
        for name in ("latent_from", "interpolate"):
            if getattr(self, name) and self.samples_per_image > 1:
                raise UsageError(f"`{name}` decides the latent vectors, so `samples_per_image` must be 1")
        if self.feature_from and self.samples_per_image > 1:
            raise UsageError("`feature_from` decides the features, so `samples_per_image` must be 1")
        if self.latent_from and self.interpolate:
            raise UsageError("`latent_from` and `interpolate` exclude each other; drop one of the two")

    @property
    def ends(self) -> tuple[str, str, int]:
        """The parts A, B and N of `interpolate`."""
        found = re.fullmatch(r"(.+):([^:]+):(\d+)", self.interpolate or "")
        if not found or not 2 <= int(found[3]) <= MOST_BETWEEN:
            raise UsageError(
                "`interpolate` is A:B:N, where A and B are noise seeds or files of pictures, and N is the "
                f"number of outputs, at least 2 and at most {MOST_BETWEEN}, such as 3:7:12. "
                f"Received: {self.interpolate}"
            )
        return found[1], found[2], int(found[3])

    def _shard(self) -> tuple[int, int]:
        found = re.fullmatch(r"(\d+)/(\d+)", self.shard)
        return (int(found[1]), int(found[2])) if found else (0, 0)

    def take_shard(self, items: Sequence[Item]) -> Sequence[Item]:
        """Returns the items of this shard; the shards from `1/n` to `n/n` have every item once."""
        number, count = self._shard()
        return items[number - 1 :: count]

    @property
    def page(self) -> str:
        """The name of the page, which each shard has of its own, since they may share a folder."""
        number, count = self._shard()
        return "index.html" if count == 1 else f"index_{number}_of_{count}.html"
