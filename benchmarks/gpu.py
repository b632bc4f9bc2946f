"""Runs the checks of BUILD.md's table about GPUs, and prints what differs from what is expected.

    python -m benchmarks.gpu [--image_size=256] [--base_filters=64]

On a machine without a GPU it runs as well, and says what it cannot check there. The networks are the paper's,
and the pixels are random. The status is 1 if anything differs.
"""

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.command_line import import_tensorflow
from tfpix2pix.pipelines.base.progress import say

CONVOLUTIONS = {"Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"}
PRODUCTS = {"MatMul", "BatchMatMulV2"}
FUSED = {"FusedBatchNormV3", "FusedBatchNormGradV3", "ResourceApplyAdam"}
# Nearly all of a step's time. What is not one of these may stay on the host.
HEAVY = CONVOLUTIONS | PRODUCTS | FUSED
STEPS = 10


@dataclasses.dataclass(frozen=True)
class Check:
    """One line of the table: `verdict` is `as expected`, `DIFFERS`, or why it cannot be checked here."""

    name: str
    expected: str
    found: str
    verdict: str


def compare(name: str, expected: Any, found: Any, holds: bool) -> Check:
    """Returns a check that holds or differs."""
    return Check(name, str(expected), str(found), "as expected" if holds else "DIFFERS")


def compare_on_gpu(has_gpu: bool, name: str, expected: str, found: str, holds: bool) -> Check:
    """Returns a check that says nothing where there is no GPU."""
    if not has_gpu:
        return Check(name, expected, found, "not checked: no GPU")
    return compare(name, expected, found, holds)


def main(argv: Sequence[str]) -> int:
    """Runs all checks and prints the table."""
    values = command_line.new_flags()
    flags.DEFINE_integer("image_size", 256, "Take images of this size in px.", 32, flag_values=values)
    flags.DEFINE_integer("base_filters", 64, "Take networks of this width.", 1, flag_values=values)
    flags.DEFINE_integer("memory_mib", 4096, "Give each logical GPU this memory.", 256, flag_values=values)
    given = command_line.read_flags(values, __doc__ or "", argv)
    import_tensorflow()
    devices = split_device(given["memory_mib"])
    import tensorflow as tf

    from benchmarks.measurement import describe_machine, show_table

    strategy = tf.distribute.MirroredStrategy(devices)
    checks = run_checks(devices[0], strategy, given["image_size"], given["base_filters"])

    print(f"{devices[0]}; {describe_machine()}\n")
    show_table(
        ["check", "expected", "found", "verdict"], [list(dataclasses.astuple(each)) for each in checks]
    )
    differing = [each.name for each in checks if each.verdict == "DIFFERS"]
    print(f"\ndiffers: {', '.join(differing) or 'nothing'}")
    return int(bool(differing))


def split_device(memory_mib: int) -> list[str]:
    """Makes two logical devices of the first GPU, with so much memory each, or of the processor."""
    import tensorflow as tf

    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    limit = {"memory_limit": memory_mib} if kind == "GPU" else {}
    halves = [tf.config.LogicalDeviceConfiguration(**limit) for _ in range(2)]
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices(kind)[0], halves)
    return [f"{kind}:0", f"{kind}:1"]


def run_checks(
    device: str, strategy: Any, image_size: int, base_filters: int, depth: int | None = None
) -> list[Check]:
    """Runs all checks, in the order of BUILD.md's table.

    Args:
      device: the one that TensorFlow takes by default, such as `GPU:0`.
      strategy: has two replicas on logical devices.
      image_size: of the images, px.
      base_filters: of both networks.
      depth: of the generator; None takes that of the image size.
    """
    from tfpix2pix.config.precision import choose_precision

    has_gpu = device.startswith("GPU")
    precision = choose_precision()

    def build(**settings: Any) -> Any:
        return build_steps(image_size, base_filters, **{"precision": precision, "depth": depth, **settings})

    say("building and tracing a step")
    plain = build()
    losses, operations = list_operations(plain)
    checks = [
        check_precision(has_gpu, precision, operations),
        check_placement(device, operations),
        check_kernels(has_gpu, operations),
        check_fused(operations),
    ]
    checks.append(check_gaps(has_gpu, plain))
    say("compiling a step with XLA")
    checks.append(check_xla(losses, plain, build(jit_compile=True)))
    checks.append(check_replicas(strategy, build))
    # It is the last, because its setting holds for the whole process.
    checks.append(check_determinism(has_gpu, build))
    return checks


def build_steps(
    image_size: int,
    base_filters: int,
    *,
    precision: str,
    depth: int | None = None,
    batch_size: int = 1,
    strategy: Any = None,
    **settings: Any,
) -> Callable[[int], dict]:
    """Returns a function that takes some steps of new networks, which begin with the same weights each time.

    Args:
      image_size: of the images, px.
      base_filters: of both networks.
      precision: Keras dtype policy.
      depth: of the generator; None takes that of the image size.
      batch_size: examples of a step, over all replicas.
      strategy: distributes the steps.
      **settings: further arguments of `TrainStep`.

    Returns:
      Number of steps -> loss name -> float32 [steps].
    """
    import keras
    import tensorflow as tf

    from tfpix2pix.methods.pix2pix import TrainStep
    from tfpix2pix.networks.discriminators import patch_discriminator
    from tfpix2pix.networks.generators import unet_generator

    keras.utils.set_random_seed(1)
    strategy = strategy or tf.distribute.get_strategy()
    # Instance normalisation, so that a batch can be divided among replicas without a difference.
    options: dict[str, Any] = {"base_filters": base_filters, "normalization": "instance", "dtype": precision}
    with strategy.scope():
        generator = unet_generator((image_size, image_size), depth=depth, dropout_rate=0.0, **options)
        train_step = TrainStep(
            generator, patch_discriminator(16, **options), global_batch_size=batch_size, **settings
        )
    shape = [batch_size, image_size, image_size, 3]
    images = [tf.random.stateless_uniform(shape, [0, place], -1, 1) for place in range(2)]
    batch = {"input_image": images[0], "target_image": images[1]}
    batch["noise_seed"] = tf.zeros([batch_size, 2], tf.int32)
    dataset = tf.data.Dataset.from_tensor_slices(batch).repeat().batch(batch_size, drop_remainder=True)
    batches = iter(strategy.experimental_distribute_dataset(dataset))

    def take(steps: int) -> dict:
        losses = train_step.run_steps(batches, steps)
        return {name: value.numpy() for name, value in losses.items()}

    return take


@dataclasses.dataclass(frozen=True)
class Operation:
    """An operation as TensorFlow runs it: after its optimizers, and placed on a device."""

    kind: str
    device: str
    dtype: str


def list_operations(take: Callable[[int], dict]) -> tuple[dict, list[Operation]]:
    """Returns the losses and the operations of a first step, with the names that they have without oneDNN."""
    import tensorflow as tf
    from tensorflow.python.eager import context

    context.enable_run_metadata()
    try:
        losses = take(1)
        graphs = context.export_run_metadata().partition_graphs
    finally:
        context.disable_run_metadata()
    operations = []
    for node in (node for graph in graphs for node in graph.node):
        dtype = tf.as_dtype(node.attr["T"].type).name if node.attr["T"].type else ""
        kind = node.op.lstrip("_").removeprefix("Mkl").removeprefix("Native")
        if kind.removeprefix("Fused") in CONVOLUTIONS | PRODUCTS:
            kind = kind.removeprefix("Fused")
        operations.append(Operation(kind, node.device.split("device:")[-1], dtype))
    return losses, operations


def check_precision(has_gpu: bool, precision: str, operations: list[Operation]) -> Check:
    """Compares the precision that `--precision=auto` takes with what convolutions compute in."""
    import tensorflow as tf

    name = precision
    if has_gpu:
        details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
        capability = details.get("compute_capability", (0, 0))
        name = "mixed_bfloat16" if capability >= (8, 0) else "float32"
    found = Counter(each.dtype for each in operations if each.kind in CONVOLUTIONS)
    expected = name.removeprefix("mixed_")
    return compare("precision", f"{name}, convolutions in {expected}", dict(found), set(found) == {expected})


def check_placement(device: str, operations: list[Operation]) -> Check:
    """Looks for heavy operations that are elsewhere, and for what a step hands from device to device."""
    elsewhere = Counter(each.kind for each in operations if each.kind in HEAVY and each.device != device)
    moves = sum(each.kind in ("Recv", "HostRecv") for each in operations)
    found = f"elsewhere: {dict(elsewhere) or 'none'}; {moves} transfers, of which the batch takes 3"
    return compare("placement", f"all heavy operations on {device}", found, not elsewhere)


def check_kernels(has_gpu: bool, operations: list[Operation]) -> Check:
    """Counts matrix products, which stand for convolutions on a CPU alone."""
    products = sum(each.kind in PRODUCTS for each in operations)
    expected, found = "no matrix products, as cuDNN convolves", f"{products} matrix products"
    return compare_on_gpu(has_gpu, "convolutions", expected, found, products == 0)


def check_fused(operations: list[Operation]) -> Check:
    """Looks for the fused kernels of normalisation and of Adam."""
    found = {kind: sum(each.kind == kind for each in operations) for kind in sorted(FUSED)}
    return compare("normalisation and Adam", "fused kernels", found, all(found.values()))


def check_gaps(has_gpu: bool, take: Callable[[int], dict]) -> Check:
    """Compares steps that are called one by one with as many in one call."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(STEPS):
            take(1)
        middle = time.perf_counter()
        take(STEPS)
        times.append((middle - start) / (time.perf_counter() - middle))
    ratio = sorted(times)[1]
    expected, found = "a call for each step takes less than 1.1 times as long", f"{ratio:.2f} times"
    return compare_on_gpu(has_gpu, "gaps on the host", expected, found, ratio < 1.1)


def check_xla(losses: dict, plain: Callable[[int], dict], compiled: Callable[[int], dict]) -> Check:
    """Compares the losses of the first step, and the time of later ones, with those of compiled steps."""
    difference = largest_difference(losses, compiled(1))
    seconds = []
    for take in (plain, compiled):
        start = time.perf_counter()
        take(STEPS)
        seconds.append(time.perf_counter() - start)
    found = f"they differ by {difference:.1%}; {seconds[0] / seconds[1]:.2f} times as fast"
    return compare("XLA", "losses of the first step differ by less than 2 %", found, difference < 0.02)


def check_replicas(strategy: Any, build: Callable[..., Callable[[int], dict]]) -> Check:
    """Compares steps of two replicas with those of a single one and the same batch, in float32."""
    alone = build(batch_size=2, precision="float32")(2)
    together = build(batch_size=2, precision="float32", strategy=strategy)(2)
    difference = largest_difference(alone, together)
    return compare(
        "two replicas", "losses as with one replica, within 1 %", f"{difference:.2%}", difference < 0.01
    )


def check_determinism(has_gpu: bool, build: Callable[..., Callable[[int], dict]]) -> Check:
    """Takes the same steps twice, with deterministic kernels on a GPU."""
    import tensorflow as tf

    if has_gpu:
        tf.config.experimental.enable_op_determinism()
    first, second = build()(3), build()(3)
    differing = [name for name in first if first[name].tobytes() != second[name].tobytes()]
    expected = "the same bits of all losses" + (" with enable_op_determinism" if has_gpu else "")
    return compare("determinism", expected, f"differing: {', '.join(differing) or 'none'}", not differing)


def largest_difference(one: dict, other: dict) -> float:
    """Returns the largest relative difference of two steps' losses."""
    return max(float(abs(one[name] - other[name]).max() / abs(one[name]).max()) for name in one)


if __name__ == "__main__":
    command_line.run(main)
