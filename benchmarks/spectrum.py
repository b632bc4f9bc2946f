"""Measures how much fine detail generated pictures have, and whether a grid lies over them.

    python -m benchmarks.spectrum --models=runs/a,runs/b [--split=val]

The runs have to be of the same pairs. A grid with a period of 2 px, as transposed convolutions may leave it,
is a line in the spectrum at half a cycle per px: its strength is the power on the line divided by that beside
it, and is near 1 where there is no grid. Fine detail is the power of the frequencies above a quarter of a
cycle per px, half of what pixels can hold, without this line, as a share of that of the target images. The
last rows tell what the methods of resizing leave of the targets when they are enlarged as by the jitter.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from absl import flags

from benchmarks.measurement import show_table
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.tasks.registry import RESIZE_METHODS
from tfpix2pix.run.folder import read_config

# Cycles per px: what counts as fine from here on.
FINE = 0.25
# A window spreads a line over this many bins beside it; the next four are what it is compared with.
SPREAD = 2
BESIDE = slice(SPREAD + 1, SPREAD + 5)

Images = npt.NDArray[np.float32]  # [N, H, W, C]


def measure_power(images: Images) -> npt.NDArray[np.float64]:
    """Returns the mean power per px of each frequency, [H, W], in the order of `np.fft.fft2`.

    The mean colour of each image is taken away, and its borders are faded out by a Hann window, because an
    image does not go on at its other side.

    Args:
      images: [N, H, W, C], of any range.
    """
    height, width = images.shape[1:3]
    window = np.hanning(height + 1)[:-1, None, None] * np.hanning(width + 1)[:-1, None]
    centred = (images - images.mean((1, 2), keepdims=True)) * window
    spectrum = np.fft.fft2(centred, axes=(1, 2)) / np.sqrt(height * width)
    return (np.abs(spectrum) ** 2).mean((0, 3)) / (window**2).mean()


def sum_fine(power: npt.NDArray[np.float64], least: float = FINE) -> float:
    """Returns the power per px of the frequencies of at least so many cycles per px, without the line."""
    rows, columns = (np.fft.fftfreq(side) for side in power.shape)
    beside = [np.abs(np.arange(side) - side // 2) > SPREAD for side in power.shape]
    is_fine = (np.hypot(rows[:, None], columns) >= least) & beside[0][:, None] & beside[1]
    return float(power[is_fine].sum() / power.size)


def measure_line(power: npt.NDArray[np.float64]) -> float:
    """Returns how much stronger the frequencies of a period of 2 px are than those beside them.

    It is the mean of the columns of pixels and of the rows.

    Args:
      power: [H, W], of even sides.
    """
    ratios = []
    for of_axis in (power.mean(0), power.mean(1)):
        half = of_axis.size // 2
        ratios.append(of_axis[half] / of_axis[: half + 1][::-1][BESIDE].mean())
    return float(np.mean(ratios))


def share_at_half(power: npt.NDArray[np.float64]) -> float:
    """Returns the share of all power that has a period of 2 px along the rows or the columns.

    Args:
      power: [H, W], of even sides.
    """
    at_half = np.zeros(power.shape, bool)
    at_half[power.shape[0] // 2] = at_half[:, power.shape[1] // 2] = True
    return float(power[at_half].sum() / power.sum())


def generate(model: Path, split: str) -> tuple[Images, Images, list[str]]:
    """Returns the generated images and the targets of a split, and the cells of a table on the model."""
    import tensorflow as tf

    from tfpix2pix.pipelines.batches import build_dataset
    from tfpix2pix.run.generator import load_generator
    from tfpix2pix.run.splits import open_split

    generator, config, step = load_generator(model)
    source, outputs, targets, seconds = open_split(config, split), [], [], []
    forward = tf.function(lambda image, seed: generator([image, seed], training=False))
    for batch in build_dataset(source, image_size=config.image_size, batch_size=1, training=False):
        start = time.perf_counter()
        outputs.append(forward(batch["input_image"], batch["noise_seed"]).numpy())
        seconds.append(time.perf_counter() - start)
        targets.append(batch["target_image"].numpy())
    generated, target = np.concatenate(outputs), np.concatenate(targets)
    l1 = np.abs(generated - target).mean()
    cells = [f"{model}, step {step}", f"{generator.count_params():,}", f"{np.median(seconds) * 1e3:.1f}"]
    return generated, target, [*cells, f"{l1:.4f}"]


def main(argv: Sequence[str]) -> None:
    """Measures and prints a table."""
    flag_values = command_line.new_flags()
    flags.DEFINE_list("models", [], "Measure these runs, separated by commas.", flag_values=flag_values)
    flags.DEFINE_string("split", "val", "Translate the pairs of this split.", flag_values=flag_values)
    command_line.refuse_arguments(command_line.parse_flags(flag_values, __doc__ or "", argv))
    if not flag_values.models:
        raise UsageError("--models is missing (--help lists the flags)")
    command_line.import_tensorflow()
    from tfpix2pix.pipelines.tasks.transforms import resize

    rows, target = [], np.zeros((0, 1, 1, 1), np.float32)
    for model in map(Path, flag_values.models):
        generated, target, cells = generate(model, flag_values.split)
        power, real = measure_power(generated), measure_power(target)
        share = sum_fine(power) / sum_fine(real)
        rows.append([*cells, f"{share:.3f}", f"{measure_line(power):.2f}"])
    rows.append(["targets", "", "", "0.0000", "1.000", f"{measure_line(real):.2f}"])
    load_size = read_config(Path(flag_values.models[-1])).load_size
    for method in RESIZE_METHODS:
        power = measure_power(resize(target, load_size, method).numpy())
        share = sum_fine(power, FINE * target.shape[1] / load_size[0]) / sum_fine(real)
        name = f"targets enlarged to {load_size[0]}x{load_size[1]}, {method}"
        rows.append([name, "", "", "", f"{share:.3f}", ""])
    show_table(["images", "parameters", "ms a picture", "L1", "fine detail", "line at 2 px"], rows)


if __name__ == "__main__":
    command_line.run(main)
