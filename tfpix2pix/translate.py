"""Translates image files with a trained run or an exported SavedModel.

    python -m tfpix2pix.translate --model=runs/facades --input=photos --output=out
    python -m tfpix2pix.translate --model=saved_models/facades --input='photos/**/*.jpg' --output=out

Images of any size, JPEG, PNG or BMP. Every output is a PNG with its input's name
and subfolder (two inputs that differ in their suffix alone keep it: a.jpg.png);
out/index.html shows inputs and outputs. A folder is searched with its subfolders,
but not --output inside it. The same command gives the same pictures.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from pipelines import command_line, staging
from pipelines.command_line import UsageError, UserError
from tfpix2pix.image_inputs import check_outputs, find_inputs, name_outputs

if TYPE_CHECKING:
    import numpy as np

    from tfpix2pix.gallery import Row
    from tfpix2pix.translation import Translator

PAGE = "index.html"
# The inputs as the page shows them.
PAGE_FOLDER = "index_files"
CROPS = ("none", "left", "right")


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
    samples = values["samples_per_image"]
    check_outputs(files, [output / file for name in names for file in _output_files(name, samples)])

    command_line.quiet_tensorflow()
    from tfpix2pix.translation import Translator

    translator = Translator(values["model"], values["checkpoint"])
    if translator.input_channels != 3:
        raise UsageError(
            f"{translator.title} takes images with {translator.input_channels} channels; "
            "this command reads 3. Use tfpix2pix.translation.Translator on arrays"
        )
    job = _Job(translator, output, values["noise_seed"], samples, values["crop"])
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
    flags.DEFINE_enum("crop", "none", CROPS, "half of a side-by-side pair to take", flag_values=flag_values)
    return flag_values


def _output_files(name: str, samples: int) -> list[str]:
    return [f"{name}_{n}.png" for n in range(1, samples + 1)] if samples > 1 else [f"{name}.png"]


class _Job:
    """One call of the command: what to do with each file."""

    def __init__(self, translator: "Translator", output: Path, noise_seed: int, samples: int, crop: str):
        self.translator = translator
        self.output = output
        self.noise_seed = noise_seed
        self.samples = samples
        self.crop = crop
        self.hinted = crop != "none"

    def run(self, root: Path, names: dict[Path, str]) -> None:
        from pipelines.image_files import BadImageError
        from pipelines.progress import show_progress
        from tfpix2pix.gallery import render_gallery

        start, rows = time.monotonic(), []
        with show_progress("translating", len(names), "images") as bar:
            for file, name in names.items():
                try:
                    rows.append(self._translate_file(file, str(file.relative_to(root)), name))
                except BadImageError as error:
                    bar.write(f"error: {error}", file=sys.stderr)
                bar.update()
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

        from pipelines.image_files import BadImageError
        from tfpix2pix.gallery import Row

        image = self._load(file)
        output_files = _output_files(name, self.samples)
        for sample, output_file in enumerate(output_files):
            try:
                generated_image = self.translator(image, self.noise_seed, sample)
            except tf.errors.ResourceExhaustedError as error:
                raise BadImageError(f"{file} is too large for the memory there is: {image.shape}") from error
            staging.write_file(self.output / output_file, tf.io.encode_png(generated_image).numpy())
        input_file = f"{PAGE_FOLDER}/{name}.jpg"
        staging.write_file(self.output / input_file, tf.io.encode_jpeg(image, quality=90).numpy())
        return Row(title, image.shape[:2], input_file, output_files)

    def _load(self, file: Path) -> "np.ndarray":
        from pipelines.image_files import BadImageError, load_image, read_image_size

        height, width = read_image_size(file)
        if width == 2 * height and not self.hinted:
            self._hint(file)
        image = load_image(file)
        if self.crop == "none":
            return image
        if width % 2:
            raise BadImageError(f"{file} is {width} px wide, so it is no pair of equal halves")
        return image[:, : width // 2] if self.crop == "left" else image[:, width // 2 :]

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
