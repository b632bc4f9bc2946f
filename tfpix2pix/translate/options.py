"""What is done to image files on their way into a model and out of it. TensorFlow is not imported."""

import dataclasses

CROPS = ("none", "left", "right")
BITS = ("8", "16")
HOLES = ("center",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """How image files are translated.

    Attributes:
      noise_seed: seed of the noise, which is the same for every file.
      samples_per_image: number of outputs of each file, each with other noise.
      crop: `left` or `right`, if the files are side-by-side pairs of which that half is the input; or `none`.
      bits: `8` or `16`, the depth of PNG outputs; None gives the outputs the depth of
        the training's targets, or that of their input where those are not known.
      hole: `center`, if the middle of each picture is cut out for an inpainting model to fill; None leaves
        the pictures as they are, with the transparent parts as their holes.
      draw_edges: whether the files are photos and a model of drawings gets their edges.
    """

    noise_seed: int = 0
    samples_per_image: int = 1
    crop: str = "none"
    bits: str | None = None
    hole: str | None = None
    draw_edges: bool = False
