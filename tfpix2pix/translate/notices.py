"""What a person should know of the files that are translated, said once however many files it is about."""

import numpy as np
import tensorflow as tf

from tfpix2pix.networks.inference import SILENT, sample_seed
from tfpix2pix.networks.scale import NATIVE
from tfpix2pix.networks.tiles import LARGE_WINDOW, MAX_WHOLE_PIXELS
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.pipelines.files.image_files import UPRIGHT, warn_of_orientation
from tfpix2pix.pipelines.files.matching import File
from tfpix2pix.translate.files import Done
from tfpix2pix.translate.options import Options
from tfpix2pix.translate.translator import Translator

_SMALL = (64, 64)


def note_silence(translator: Translator, options: Options) -> None:
    """Says it, once, if noise is asked for and the model draws none, so that the outputs are all alike."""
    if (options.samples_per_image == 1 and not options.noise_seed) or _draws_noise(translator):
        return
    say(
        f"note: {translator.title} draws no noise: the noise seed changes nothing, and all samples of an "
        "image are the same"
    )


def _draws_noise(translator: Translator) -> bool:
    layers = translator.generator.layers if translator.generator else []
    if translator.latent_size or any(type(layer) in SILENT for layer in layers):
        return True
    shape = (1, *(translator.scale.image_size or _SMALL), translator.input_channels)
    # A SavedModel, or a generator of one's own, may draw in another way.
    picture = tf.constant(np.random.default_rng(0).uniform(-1, 1, shape), tf.float32)
    try:
        first, second = (translator.generate(picture, sample_seed(seed)[None]) for seed in (0, 1))
    except (ValueError, tf.errors.OpError):  # It takes other sizes, so nobody knows.
        return True
    return not np.array_equal(first, second)


class Notices:
    """Looks at the files in their order, says what is worth saying, and says it once.

    Args:
      translator: the model.
    """

    def __init__(self, translator: Translator):
        self._turned: list[File] = []
        self._may_tile = translator.scale.mode == NATIVE
        self._noted = set[str]()

    def see(self, file: File, done: Done) -> None:
        """Looks at a file that was translated."""
        header, note = done.header, done.note
        if header.orientation != UPRIGHT:
            self._turned.append(file)
        if note and note not in self._noted:
            self._noted.add(note)
            say(f"note: {file} {note}")
        height, width = done.row.size
        if self._may_tile and height * width > MAX_WHOLE_PIXELS:
            self._may_tile = False
            say(
                f"note: {file} has {width} x {height} px, more than the {MAX_WHOLE_PIXELS} that go through "
                "the model at once; such images are translated in overlapping windows of "
                f"{LARGE_WINDOW[1]} x {LARGE_WINDOW[0]} px"
            )

    def warn(self) -> None:
        """Warns of the files that are stored turned."""
        warn_of_orientation("inputs", self._turned)
