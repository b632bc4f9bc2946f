"""Measures each layer of a generator: its part of a pass, and its share of the machine's limit.

    python -m benchmarks.layers [--method=pix2pix|pix2pixhd] [--image_size=256] [--precision=float32]

Layers of one kind and size are measured once and counted. Each is compiled alone; what TensorFlow does of
several at the same time shows in the time of the whole pass only. With --gradients, a layer also computes the
gradients of its input and its weights, and there is no whole pass. Kernels are stored in the precision that
they are multiplied in, as for inference, with gradients too.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from benchmarks.convolutions import interleave
from benchmarks.measurement import show_table, write_json
from benchmarks.networks import DEFAULT_SIZES, MATMUL_FLOPS, PRECISIONS
from tfpix2pix.config.options import Size, parse_size
from tfpix2pix.pipelines.base import command_line

SMALL_SHARE = 0.01  # Layers that take less of the time together are not listed one by one.


@dataclasses.dataclass
class Group:
    """Layers of one kind and size.

    Attributes:
      name: what the table calls them.
      layer: one of them.
      shapes: those of its inputs.
      flops: floating-point operations of the convolution in one of them, 0 for other layers.
      count: how many there are.
    """

    name: str
    layer: Any
    shapes: list[list[int]]
    flops: float
    count: int = 1


def main(argv: Sequence[str]) -> None:
    """Measures, prints a table, and writes JSON if `--json` asks for it."""
    values = command_line.new_flags()
    text = "Take the generator of this method, at full width."
    flags.DEFINE_enum("method", "pix2pix", list(DEFAULT_SIZES), text, flag_values=values)
    text = "Take images of this size in px, given as N or HxW. Default: 256, and 256x512 for pix2pixhd."
    flags.DEFINE_string("image_size", None, text, flag_values=values)
    text = "Compute in this precision."
    flags.DEFINE_enum("precision", PRECISIONS[0], PRECISIONS, text, flag_values=values)
    flags.DEFINE_boolean("gradients", False, "Compute gradients, too.", flag_values=values)
    flags.DEFINE_integer("rounds", 11, "Give each layer this many turns.", 3, flag_values=values)
    flags.DEFINE_string("json", "", "Write the numbers to this file, as JSON.", flag_values=values)
    given = command_line.read_flags(values, __doc__ or "", argv)
    command_line.import_tensorflow()

    size = parse_size(given["image_size"] or DEFAULT_SIZES[given["method"]], "image_size")
    network, images = build_generator(given["method"], size, given["precision"])
    groups = group_layers(network, images)
    numbers = measure(network, images, groups, given["precision"], given["gradients"], given["rounds"])
    header = ["layers", "number", "GFLOP", "ms", "of the time", "of the limit"]
    show_table(header, list_rows(numbers["layers"]))
    for name, text in (("pass_ms", "the whole pass: {:.1f} ms"), ("limit_gflops", "limit: {:.0f} GFLOP/s")):
        if name in numbers:
            print("\n" + text.format(numbers[name]))
    if given["json"]:
        write_json(given["json"], numbers)


def build_generator(method: str, size: Size, precision: str) -> tuple[Any, Any]:
    """Returns the generator of a method, its kernels cast as for inference, and random images for it."""
    import tensorflow as tf

    from benchmarks.ours_hd import INPUT_CHANNELS
    from tfpix2pix.networks.generators import unet_generator
    from tfpix2pix.networks.inference import cast_kernels
    from tfpix2pix.networks.layers import use_minimal_filtering
    from tfpix2pix.networks.residual import global_generator

    if method == "pix2pix":
        network, channels = unet_generator(size, dtype=precision), 3
    else:
        network, channels = global_generator(INPUT_CHANNELS, dtype=precision), INPUT_CHANNELS
    network = cast_kernels(use_minimal_filtering(network))
    return network, tf.random.uniform([1, *size, channels], -1, 1)


def group_layers(network: Any, images: Any) -> list[Group]:
    """Returns the layers that a pass over images calls, in their order, the equal ones in one group."""
    import tensorflow as tf

    from tfpix2pix.networks.keras_versions import layer_calls

    values = dict(zip(map(id, network.inputs), (images, tf.zeros([1, 2], tf.int32)), strict=True))
    groups: dict[str, Group] = {}
    for call in layer_calls(network):
        inputs = [values[id(symbol)] for symbol in call.inputs]
        outputs = tf.nest.flatten(call.layer(inputs[0] if len(inputs) == 1 else inputs))
        values |= zip(map(id, call.outputs), outputs, strict=True)
        kernel = getattr(call.layer, "kernel", None)
        kind = type(call.layer).__name__
        area = "x".join(map(str, inputs[0].shape[1:3]))
        sides = "" if kernel is None else "{}x{} ".format(*kernel.shape[:2])
        name = f"{kind} {sides}{inputs[0].shape[-1]} to {outputs[0].shape[-1]} channels, {area} px"
        if name in groups:
            groups[name].count += 1
            continue
        # A transposed convolution applies its kernel at each pixel of its input, others of their output.
        pixels = min(inputs[0].shape[1] * inputs[0].shape[2], outputs[0].shape[1] * outputs[0].shape[2])
        flops = 0.0 if kernel is None else 2.0 * pixels * tf.size(kernel).numpy()
        groups[name] = Group(name, call.layer, [list(each.shape) for each in inputs], flops)
    return list(groups.values())


def measure(
    network: Any, images: Any, groups: Sequence[Group], precision: str, gradients: bool, rounds: int
) -> dict[str, Any]:
    """Returns milliseconds of each group and of the whole pass, and the limit of the machine."""
    import tensorflow as tf

    from benchmarks.ours import build_matmul

    ways = [build_matmul(precision, 0, 0), *(compile_layer(group, gradients) for group in groups)]
    if not gradients:
        seeds = tf.zeros([1, 2], tf.int32)
        ways.append(tf.function(lambda: network([images, seeds], training=False), autograph=False))
    limit_ms, *times = interleave(ways, rounds)
    limit = MATMUL_FLOPS / limit_ms / 1e6
    layers = []
    for group, milliseconds in zip(groups, times[: len(groups)], strict=True):
        # Both gradients have as many operations as the output.
        flops = group.flops * (3 if gradients else 1)
        layers.append(
            {
                "name": group.name,
                "count": group.count,
                "gflop": group.count * flops / 1e9,
                "ms": group.count * milliseconds,
                "of_limit": flops / milliseconds / 1e6 / limit,
            }
        )
    return {"layers": layers, "limit_gflops": limit, **({} if gradients else {"pass_ms": times[-1]})}


def compile_layer(group: Group, gradients: bool) -> Callable[[], object]:
    """Returns a function that runs a layer on random inputs, with its gradients if they are asked for."""
    import tensorflow as tf

    dtype = group.layer.compute_dtype
    inputs = [
        tf.zeros(shape, tf.int32) if len(shape) == 2 else tf.cast(tf.random.normal(shape), dtype)
        for shape in group.shapes
    ]

    def run():
        with tf.GradientTape() as tape:
            tape.watch(inputs[0])
            outputs = group.layer(inputs[0] if len(inputs) == 1 else inputs)
        if not gradients:
            return outputs
        sources = [inputs[0], *group.layer.trainable_variables]
        return outputs, tape.gradient(outputs, sources, output_gradients=outputs)

    return tf.function(run, autograph=False).get_concrete_function()


def list_rows(layers: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Returns the rows of the table: layers by their time, the small ones in one, and the sum."""
    total = sum(layer["ms"] for layer in layers)
    large = [layer for layer in layers if layer["ms"] >= SMALL_SHARE * total]
    rows = [
        [
            layer["name"],
            str(layer["count"]),
            f"{layer['gflop']:.1f}" if layer["gflop"] else "",
            f"{layer['ms']:.1f}",
            f"{layer['ms'] / total:.0%}",
            f"{layer['of_limit']:.0%}" if layer["gflop"] else "",
        ]
        for layer in sorted(large, key=lambda layer: -layer["ms"])
    ]
    rest = [layer for layer in layers if layer not in large]
    for name, some in (("all others", rest), ("sum", layers)):
        milliseconds = sum(layer["ms"] for layer in some)
        numbers = [str(sum(layer["count"] for layer in some)), f"{sum(layer['gflop'] for layer in some):.1f}"]
        rows.append([name, *numbers, f"{milliseconds:.1f}", f"{milliseconds / total:.0%}", ""])
    return rows


if __name__ == "__main__":
    command_line.run(main)
