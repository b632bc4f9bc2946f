"""Which half of a file is translated, where it may be a side-by-side pair as those of the training were."""

from typing import NamedTuple

from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.files.image_files import Header
from tfpix2pix.pipelines.files.pair_shapes import are_distinct, can_be_pair
from tfpix2pix.translate.options import Options
from tfpix2pix.translate.pairs import ask_of_pair
from tfpix2pix.translate.translator import Translator


class Half(NamedTuple):
    """What is translated of a file.

    Attributes:
      crop: `none` for the whole file, or `left` or `right`.
      note: what a person should know of this choice, to follow the file's name; may be empty.
    """

    crop: str
    note: str = ""


def choose_half(translator: Translator, header: Header, options: Options) -> Half:
    """Returns what is translated of a file: what `options` say, or the input half of what is a pair.

    A file is taken for a pair if the training's pairs lay side by side and it has their shape, which no half
    of them has. Runs of earlier versions do not know how their pairs lay: then a file that is twice as wide
    as high is taken whole, and the note asks.
    """
    if options.crop is not None:
        return Half(options.crop)
    if translator.task.from_photos or options.draw_edges:  # the files are photos
        return Half("none")
    shapes = translator.side_by_side
    if shapes is None:
        crop = _input_half(translator)
        setting = f"`crop={crop}`" if crop else "`crop`"
        return Half("none", ask_of_pair(header.height, header.width, setting))
    if not can_be_pair(shapes, header):
        return Half("none")
    crop = _input_half(translator)
    if crop is None or not are_distinct(shapes):
        return Half(
            "none",
            "may be a side-by-side pair, as the training's were, and is taken whole. If it is one, "
            f"`crop={crop or 'left'}` takes {'its input' if crop else 'the left'} half",
        )
    return Half(
        crop,
        "has the shape of the training's side-by-side pairs: of it, and of all files of this shape, the "
        f"{crop} half, the input, is translated. `crop=none` takes whole images",
    )


def _input_half(translator: Translator) -> str | None:
    try:
        config = translator.config
    except UserError:  # A damaged card does not keep a SavedModel from translating.
        config = None
    if config is None:
        return None
    return "left" if config.direction == "AtoB" else "right"
