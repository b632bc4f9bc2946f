"""What a person should know of the files that are translated, said once however many files it is about."""

from pathlib import Path

from tfpix2pix.networks.scale import NATIVE
from tfpix2pix.networks.tiles import LARGE_WINDOW, MAX_WHOLE_PIXELS
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.progress import say
from tfpix2pix.pipelines.files.image_files import UPRIGHT, Header, warn_of_orientation
from tfpix2pix.translate.options import Options
from tfpix2pix.translate.translator import Translator


class Notices:
    """Looks at the files in their order, says what is worth saying, and says it once.

    Args:
      translator: the model.
      options: what is done to the files.
    """

    def __init__(self, translator: Translator, options: Options):
        self._translator = translator
        self._turned: list[Path] = []
        self._may_tile = translator.scale.mode == NATIVE
        self._may_hint = options.crop == "none" and not translator.task.from_photos

    def see(self, file: Path, header: Header, size: tuple[int, int]) -> None:
        """Looks at a file, its header, and the (height, width) of what is translated of it."""
        if header.orientation != UPRIGHT:
            self._turned.append(file)
        if self._may_hint and header.width == 2 * header.height:
            self._may_hint = False
            say(
                f"note: {file} is twice as wide as high. If it is a pair for training, "
                f"{self._name_crop()} takes its input half"
            )
        height, width = size
        if self._may_tile and height * width > MAX_WHOLE_PIXELS:
            self._may_tile = False
            say(
                f"note: {file} has {width} x {height} px, more than the {MAX_WHOLE_PIXELS} that go through "
                "the model at once; such images are translated in overlapping windows of "
                f"{LARGE_WINDOW[1]} x {LARGE_WINDOW[0]} px"
            )

    def _name_crop(self) -> str:
        try:
            config = self._translator.config
        except UserError:  # A damaged card does not keep a SavedModel from translating.
            config = None
        if config is None:
            return "`crop`"
        return "`crop=left`" if config.direction == "AtoB" else "`crop=right`"

    def warn(self) -> None:
        """Warns of the files that are stored turned."""
        warn_of_orientation("inputs", self._turned)
