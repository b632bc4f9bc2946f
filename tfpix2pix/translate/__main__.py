"""Translates image files with a trained run or an exported SavedModel.

    python -m tfpix2pix.translate --model=runs/facades --input=photos --output=out
    python -m tfpix2pix.translate --model=saved_models/facades --input='photos/**/*.jpg' --output=out

Images of any size, JPEG, PNG or BMP, or .npy arrays. Every output is a PNG, of 16
bits where its input has them, or an array like its input, with its input's name and
subfolder (two inputs that differ in their suffix alone keep it: a.jpg.png);
out/index.html shows inputs and outputs. A folder is searched with its subfolders,
but not --output inside it. The same command gives the same pictures. An inpainting
model fills what is transparent, or what --hole=center cuts out.
"""

import io
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from tfpix2pix.pipelines.base import command_line, staging
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.translate.image_inputs import check_outputs, find_inputs, name_outputs

if TYPE_CHECKING:
    import numpy as np

    from tfpix2pix.pictures.page import Row
    from tfpix2pix.translate.translator import Translator

PAGE = "index.html"
# The inputs as the page shows them.
PAGE_FOLDER = "index_files"
CROPS = ("none", "left", "right")
BITS = ("8", "16")
ARRAY_SUFFIX = ".npy"


def main(argv: Sequence[str]) -> None:
    """Parses flags, finds the images, translates them, writes the page."""
    flag_values = _define_flags()
    arguments = command_line.parse_flags(flag_values, __doc__ or "", argv)
    values = flag_values.flag_values_dict()
    if arguments:
        raise UsageError(f"unexpected argument: {arguments[0]} (a pattern for --input needs quotes)")
    for name in ("model", "input", "output"):
        if not values[name]:
            raise UsageError(f"--{name} is missing (--help lists the flags)")
    output = Path(values["output"])
    root, files = find_inputs(values["input"], output)
    names = name_outputs([file.relative_to(root) for file in files])
    outputs = zip(names, (file.suffix.lower() for file in files), strict=True)
    samples = values["samples_per_image"]
    check_outputs(
        files, [output / each for name, suffix in outputs for each in _output_files(name, samples, suffix)]
    )

    command_line.import_tensorflow()
    from tfpix2pix.translate.translator import Translator

    translator = Translator(values["model"], values["checkpoint"])
    task = translator.task
    if values["hole"] and task.name != "inpaint":
        raise UsageError(f"--hole is for an inpainting model, and {translator.title} is one of {task.name}")
    if values["draw_edges"] and task.picture_channels[0] != 3:
        raise UsageError(f"--draw_edges is for a model of drawings, and {translator.title} is none")
    job = _Job(translator, output, values)
    job.run(root, dict(zip(files, names, strict=True)))


def _define_flags() -> flags.FlagValues:
    flag_values = command_line.new_flags()
    for name, text in (
        ("model", "folder of a run, of a SavedModel (the newest version), or of one version"),
        ("checkpoint", "of a run: latest, best or a step (default latest)"),
        ("input", "an image, a folder, or a pattern in quotes"),
        ("output", "folder for the outputs and index.html"),
    ):
        flags.DEFINE_string(name, None, text, flag_values=flag_values)
    flags.DEFINE_integer("noise_seed", 0, "another one gives other outputs", flag_values=flag_values)
    flags.DEFINE_integer(
        "samples_per_image", 1, "outputs per input, NAME_1.png, NAME_2.png, ...", 1, flag_values=flag_values
    )
    flags.DEFINE_enum("bits", None, BITS, "of the PNG files (default: as the input)", flag_values=flag_values)
    flags.DEFINE_enum("hole", None, ("center",), "cut out the middle and fill it", flag_values=flag_values)
    flags.DEFINE_bool("draw_edges", False, "the inputs are photos: draw their edges", flag_values=flag_values)
    flags.DEFINE_enum("crop", "none", CROPS, "half of a side-by-side pair to take", flag_values=flag_values)
    return flag_values


def _output_files(name: str, samples: int, suffix: str = ".png") -> list[str]:
    suffix = suffix if suffix == ARRAY_SUFFIX else ".png"
    return [f"{name}_{n}{suffix}" for n in range(1, samples + 1)] if samples > 1 else [f"{name}{suffix}"]


class _Job:
    """One call of the command: what to do with each file."""

    def __init__(self, translator: "Translator", output: Path, values: dict[str, Any]):
        self.translator = translator
        self.output = output
        self.noise_seed: int = values["noise_seed"]
        self.samples: int = values["samples_per_image"]
        self.crop: str = values["crop"]
        self.bits: str | None = values["bits"]
        self.hole: str | None = values["hole"]
        self.draw_edges: bool = values["draw_edges"]
        self.turned: list[Path] = []
        self.hinted = self.crop != "none" or translator.task.from_photos

    def run(self, root: Path, names: dict[Path, str]) -> None:
        from tfpix2pix.pictures.page import render_gallery
        from tfpix2pix.pipelines.base.progress import show_progress
        from tfpix2pix.pipelines.files.image_files import BadImageError, warn_of_orientation

        start, rows = time.monotonic(), []
        with show_progress("translating", len(names), "images") as bar:
            for file, name in names.items():
                try:
                    rows.append(self._translate_file(file, str(file.relative_to(root)), name))
                except BadImageError as error:
                    bar.write(f"error: {error}", file=sys.stderr)
                bar.update()
        warn_of_orientation("--input", self.turned)
        noise = f"{self.samples} samples each, " if self.samples > 1 else ""
        summary = f"{len(rows)} image{'' if len(rows) == 1 else 's'}, {noise}noise seed {self.noise_seed}"
        page = render_gallery(f"Translated with {self.translator.title}", summary, rows)
        staging.write_file(self.output / PAGE, page.encode(errors="replace"))
        if len(rows) < len(names):
            raise UserError(
                f"{len(names) - len(rows)} of {len(names)} images could not be translated; "
                f"the others are in {self.output}"
            )
        print(f"{summary}, {time.monotonic() - start:.1f} s: {self.output / PAGE}")

    def _translate_file(self, file: Path, title: str, name: str) -> "Row":
        import tensorflow as tf

        from tfpix2pix.pictures.page import Row
        from tfpix2pix.pipelines.files.image_files import BadImageError

        picture = self._load(file)
        as_array = self.translator.task.picture_channels[1] > 4
        output_files = _output_files(name, self.samples, ARRAY_SUFFIX if as_array else file.suffix.lower())
        shown_files = []
        for sample, output_file in enumerate(output_files):
            try:
                generated = self.translator(picture, self.noise_seed, sample)
            except tf.errors.ResourceExhaustedError as error:
                raise BadImageError(
                    f"{file} is too large for the memory there is: {picture.shape}"
                ) from error
            shown_files.append(self._write(output_file, generated))
        input_file = f"{PAGE_FOLDER}/{name}.jpg"
        shown = self._show_input(picture)
        staging.write_file(self.output / input_file, tf.io.encode_jpeg(shown, quality=90).numpy())
        return Row(title, picture.shape[:2], input_file, shown_files)

    def _write(self, output_file: str, generated: "np.ndarray") -> str:
        """Writes an output; returns the file that the page shows."""
        import numpy as np

        from tfpix2pix.pictures.examples import show_image
        from tfpix2pix.pictures.sheets import write_png
        from tfpix2pix.pipelines.files.image_files import widen
        from tfpix2pix.pipelines.tasks.transforms import to_uint8

        if not output_file.endswith(ARRAY_SUFFIX):
            if self.bits == "8" and generated.dtype == np.uint16:
                generated = to_uint8(widen(generated, np.float32)).numpy()
            write_png(self.output / output_file, generated)
            return output_file
        contents = io.BytesIO()
        np.save(contents, generated)
        staging.write_file(self.output / output_file, contents.getvalue())
        shown_file = f"{PAGE_FOLDER}/{output_file}.png"
        write_png(self.output / shown_file, show_image(widen(generated, np.float32)))
        return shown_file

    def _show_input(self, picture: "np.ndarray") -> "np.ndarray":
        """Returns uint8 RGB."""
        import numpy as np

        from tfpix2pix.pictures.examples import show_input
        from tfpix2pix.pipelines.files.image_files import widen

        task = self.translator.task
        return show_input(task, task.read_picture(widen(picture, np.float32)))

    def _load(self, file: Path) -> "np.ndarray":
        """Returns the picture in the type that its output shall have."""
        import numpy as np

        from tfpix2pix.pipelines.files.image_files import (
            UPRIGHT,
            BadImageError,
            load_image,
            read_header,
            widen,
        )

        header = read_header(file)
        if header.orientation != UPRIGHT:
            self.turned.append(file)
        height, width = header[:2]
        if width == 2 * height and not self.hinted:
            self._hint(file)
        picture = load_image(file, self.translator.task.picture_channels[0], header.dtype)
        if self.crop != "none":
            if width % 2:
                raise BadImageError(f"{file} is {width} px wide, so it is no pair of equal halves")
            picture = picture[:, : width // 2] if self.crop == "left" else picture[:, width // 2 :]
        if self.translator.task.name == "inpaint":
            picture = self._cut_hole(file, picture)
        if self.draw_edges:
            from tfpix2pix.pipelines.tasks.drawings import draw_edges

            picture = draw_edges(picture)
        if self.bits == "16" and picture.dtype == np.uint8 and file.suffix.lower() != ARRAY_SUFFIX:
            picture = widen(picture, np.uint16)
        return picture

    def _cut_hole(self, file: Path, picture: "np.ndarray") -> "np.ndarray":
        """Returns the picture with its hole transparent."""
        import numpy as np

        from tfpix2pix.pipelines.files.image_files import BadImageError
        from tfpix2pix.pipelines.tasks.tasks import center_mask

        lowest = -1 if picture.dtype == np.float32 else 0
        if self.hole:
            picture = picture.copy()
            picture[..., 3][center_mask(picture.shape[:2]).numpy()[..., 0] > 0] = lowest
        elif not np.any(picture[..., 3] == lowest):
            raise BadImageError(
                f"{file} has no transparent pixels to fill; --hole=center cuts out the middle"
            )
        return picture

    def _hint(self, file: Path) -> None:
        self.hinted = True
        config = self.translator.config
        side = "left or right" if config is None else "left" if config.direction == "AtoB" else "right"
        print(
            f"note: {file} is twice as wide as high. If it is a pair for training, "
            f"--crop={side} takes its input half",
            file=sys.stderr,
        )


if __name__ == "__main__":
    command_line.run(main)
