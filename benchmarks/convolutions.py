"""Measures the ways to compute each product of a convolution, layer by layer.

    python -m benchmarks.convolutions --precision=bfloat16 --batch_size=1 --json=FILE

The rules in tfpix2pix/networks/convolutions.py and strips.py, which choose the way, rest on these numbers.
"""

import time
from collections.abc import Callable, Sequence

from absl import flags

from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.command_line import import_tensorflow

# For each layer of the U-Net at 256 px: side of the large map in px, its channels, channels of the small map.
ENCODER = [(256, 3, 64), (128, 64, 128), (64, 128, 256), (32, 256, 512)]
ENCODER += [(side, 512, 512) for side in (16, 8, 4, 2)]
DECODER = [(2, 512, 512), (4, 512, 1024), (8, 512, 1024), (16, 512, 1024), (32, 256, 1024)]
DECODER += [(64, 128, 512), (128, 64, 256), (256, 3, 128)]


def define_flags() -> flags.FlagValues:
    """Returns the command's flags."""
    values = command_line.new_flags()
    flags.DEFINE_enum(
        "precision", "float32", ["float32", "bfloat16"], "Compute in this precision.", flag_values=values
    )
    flags.DEFINE_integer(
        "batch_size", 1, "Convolve this many images at once.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_integer("rounds", 11, "Give each way this many turns.", lower_bound=3, flag_values=values)
    flags.DEFINE_string("json", "", "Write the numbers to this file, as JSON.", flag_values=values)
    return values


def main(argv: Sequence[str]) -> None:
    """Measures, prints a table, and writes JSON if `--json` asks for it."""
    values = define_flags()
    given = command_line.read_flags(values, __doc__ or "", argv)
    import_tensorflow()
    from benchmarks import measurement

    rows, numbers = [], {}
    rounds: int = given["rounds"]
    for kind, layers in (("encoder", ENCODER), ("decoder", DECODER)):
        for number, (side, channels, filters) in enumerate(layers, 1):
            name = f"{kind}_{number if kind == 'encoder' else 9 - number}"
            row = [name, f"{side // 2}x{side // 2}"]
            for product, ways in _products(side, channels, filters, values).items():
                times = interleave(list(ways.values()), rounds)
                numbers[f"{name} {product}"] = {
                    f"{way}_ms": each for way, each in zip(ways, times, strict=True)
                }
                row.append(" / ".join(f"{each:.1f}" for each in times))
            rows.append(row)
    print("TensorFlow's kernel / matmul / strips, ms.\n")
    measurement.show_table(["layer", "small map", "gather", "scatter", "correlate"], rows)
    if values["json"].value:
        measurement.write_json(values["json"].value, {"products": numbers})


def _products(side, channels, filters, values) -> dict[str, dict[str, Callable]]:
    """Returns product -> way -> a call of it, on random tensors."""
    import tensorflow as tf

    from tfpix2pix.networks import convolutions

    dtype, batch = values["precision"].value, values["batch_size"].value
    large, small, kernel = (
        tf.cast(tf.random.normal(shape), dtype)
        for shape in (
            [batch, side, side, channels],
            [batch, side // 2, side // 2, filters],
            [4, 4, channels, filters],
        )
    )

    def compiled(product, ways, *tensors):
        def run(way):
            return lambda: product(*tensors, way)

        return {way: tf.function(run(way), autograph=False) for way in ways}

    ways = ["native", "matmul", "strips"]
    return {
        "gather": compiled(convolutions.gather, ways, large, kernel),
        "scatter": compiled(convolutions.scatter, ways[:2], small, kernel),
        "correlate": compiled(convolutions.correlate, ways, large, small),
    }


def interleave(ways: list[Callable], rounds: int) -> list[float]:
    """Returns the median milliseconds of each way."""
    import numpy as np

    times = np.zeros([rounds, len(ways)])
    for turn in times:
        for place, way in enumerate(ways):
            way()  # This call removes what the other way left in the caches.
            start = time.perf_counter()
            way()
            turn[place] = time.perf_counter() - start
    return [float(median) * 1e3 for median in np.median(times[2:], axis=0)]


if __name__ == "__main__":
    command_line.run(main)
