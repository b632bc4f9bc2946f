"""Measures minimal filtering against direct convolutions of stride 1, layer by layer, in float32.

    python -m benchmarks.filtering [--batch_size=1] [--json=FILE]

The rule in tfpix2pix/networks/filtering.py, which chooses between the two, rests on these numbers. With
gradients means the outputs and both gradients, and the transform of the kernel is always counted.
"""

from collections.abc import Callable, Sequence

from absl import flags

from benchmarks.convolutions import interleave
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.command_line import import_tensorflow

# Side of the kernel, side of the map in px, channels, filters.
LAYERS = {
    "last but one of D, 64 px": (4, 8, 256, 512),
    "last but one of D, 128 px": (4, 16, 256, 512),
    "last but one of D, 256 px": (4, 32, 256, 512),
    "last but one of D, 512 px": (4, 64, 256, 512),
    "the same of half the filters": (4, 32, 128, 256),
    "the same of a quarter": (4, 32, 64, 128),
    "block of resnet_6blocks, 128 px": (3, 32, 256, 256),
    "block of resnet_9blocks, 256 px": (3, 64, 256, 256),
    "block of resnet_9blocks, 512 px": (3, 128, 256, 256),
    "block of half the filters": (3, 64, 128, 128),
    "block of a quarter": (3, 64, 64, 64),
    "block of global, 128 px": (3, 8, 1024, 1024),
    "block of global, 256 px": (3, 16, 1024, 1024),
    "block of global, 512 px": (3, 32, 1024, 1024),
}


def main(argv: Sequence[str]) -> None:
    """Measures, prints a table, and writes JSON if `--json` asks for it."""
    values = command_line.new_flags()
    flags.DEFINE_integer("batch_size", 1, "Convolve this many images at once.", 1, flag_values=values)
    flags.DEFINE_integer("rounds", 11, "Give each way this many turns.", 3, flag_values=values)
    flags.DEFINE_string("json", "", "Write the numbers to this file, as JSON.", flag_values=values)
    given = command_line.read_flags(values, __doc__ or "", argv)
    import_tensorflow()
    from benchmarks import measurement

    rows, numbers = [], {}
    for name, layer in LAYERS.items():
        row = [name, f"{layer[1]}x{layer[1]}"]
        for what, ways in build_ways(*layer, given["batch_size"]).items():
            times = interleave(ways, given["rounds"])
            numbers[f"{name}, {what}"] = {"direct_ms": times[0], "filtered_ms": times[1]}
            row.append(f"{times[0]:.1f} / {times[1]:.1f} = {times[0] / times[1]:.2f}")
        rows.append(row)
    print("Direct / minimal filtering, ms, and the ratio: above 1 minimal filtering is ahead.\n")
    measurement.show_table(["layer", "map", "forward", "with gradients"], rows)
    if given["json"]:
        measurement.write_json(given["json"], {"layers": numbers})


def build_ways(
    side: int, size: int, channels: int, filters: int, batch: int = 1
) -> dict[str, list[Callable]]:
    """Returns what is computed -> [directly, by minimal filtering], on random tensors."""
    import tensorflow as tf

    from tfpix2pix.networks import filtering

    images = tf.random.normal([batch, size, size, channels])
    kernel = tf.random.normal([side, side, channels, filters], stddev=0.02)

    def direct(images, kernel):
        return tf.nn.conv2d(tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]]), kernel, 1, "VALID")

    def filtered(images, kernel):
        return filtering.conv2d(images, kernel, pad_px=1)

    def with_gradients(convolve):
        def run(images, kernel):
            with tf.GradientTape() as tape:
                tape.watch([images, kernel])
                outputs = convolve(images, kernel)
            return outputs, tape.gradient(outputs, [images, kernel], output_gradients=outputs)

        return run

    def compiled(function):
        traced = tf.function(function, autograph=False)
        return lambda: traced(images, kernel)

    ways = direct, filtered
    return {
        "forward": [compiled(way) for way in ways],
        "with gradients": [compiled(with_gradients(way)) for way in ways],
    }


if __name__ == "__main__":
    command_line.run(main)
