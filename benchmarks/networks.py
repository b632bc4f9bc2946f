"""Compares a training step, or a forward pass of the generator, with PyTorch: time and peak memory.

    python -m benchmarks.networks --what=step|forward [--image_size=256] [--batch_size=1] [--pytorch=PYTHON]
    python -m benchmarks.networks --what=step|forward --method=pix2pixhd [--image_size=256x512] ...

The networks are those of the paper's facades, or with --method=pix2pixhd the global generator and the
discriminators of Cityscapes at full width; the pixels are random. A step updates both networks. The share of
the limit compares the time with that of products of large matrices, measured on this machine in the same
minutes, of as many operations.
"""

import itertools
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from benchmarks.measurement import (
    Contestant,
    Result,
    has_module,
    python_contestant,
    show_table,
    summarise,
    take_turns,
    write_json,
)
from tfpix2pix.config.options import Size, parse_size, text
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.progress import say

PRECISIONS = ("float32", "mixed_bfloat16")
DEFAULT_SIZES = {"pix2pix": "256", "pix2pixhd": "256x512"}
# The sizes of the limits. One product alone would measure how long a processor takes to reach its speed.
MATMUL_SIDE, MATMUL_COUNT = 2048, 16
COPY_MIB = 256
MATMUL_FLOPS = MATMUL_COUNT * 2 * MATMUL_SIDE**3


def define_flags() -> flags.FlagValues:
    """Returns the command's flags."""
    values = command_line.new_flags()
    flags.DEFINE_enum(
        "what",
        "step",
        ["step", "forward"],
        "Measure a training step, or a forward pass of the generator.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "method", "pix2pix", list(DEFAULT_SIZES), "Take the networks of this method.", flag_values=values
    )
    flags.DEFINE_string(
        "image_size",
        None,
        "Take images of this size in px, given as N or HxW. Default: 256, and 256x512 for pix2pixhd.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "precisions",
        list(PRECISIONS),
        "Compare in these precisions, a comma between them; each has processes of its own in the memory.",
        flag_values=values,
    )
    flags.DEFINE_integer("batch_size", 1, "Take this many images in a batch.", 1, flag_values=values)
    flags.DEFINE_integer("rounds", 15, "Give each contestant this many turns.", 1, flag_values=values)
    flags.DEFINE_string(
        "pytorch",
        sys.executable,
        "Run PyTorch with this Python interpreter, and leave it out if that has no PyTorch.",
        flag_values=values,
    )
    flags.DEFINE_string("json", None, "Write the numbers to this file, as JSON.", flag_values=values)
    return values


def main(argv: Sequence[str]) -> None:
    """Measures, prints a table, and writes JSON if `--json` asks for it."""
    flag_values = define_flags()
    values = command_line.read_flags(flag_values, __doc__ or "", argv)
    precisions = values["precisions"]
    if unknown := [each for each in precisions if each not in PRECISIONS]:
        raise UsageError(f"--precisions takes {', '.join(PRECISIONS)}. Received: {unknown[0]}")
    size = parse_size(values["image_size"] or DEFAULT_SIZES[values["method"]], "image_size")
    flops = count_method_flops(values["method"], values["what"], size) * values["batch_size"]
    results = take_turns(list_contestants(values, size), values["rounds"])
    numbers = {
        name: summarise_network(name, results, flops) for name in results if not name.startswith("limit")
    }
    peers = [name for name in numbers if name.startswith("PyTorch")]
    memory = ["peak memory, MiB", "without files"]
    header = ["contestant", "ms", *(f"against {peer}" for peer in peers), "of the limit", *memory]
    show_table(header, [_row(name, each, peers) for name, each in numbers.items()])
    limits = {
        precision: summarise(MATMUL_FLOPS / results[f"limit {precision}"].seconds / 1e9)
        for precision in precisions
    }
    copies = summarise(2 * COPY_MIB * 2**20 / results["limit copy"].seconds / 1e9)
    for name, limit in limits.items():
        print(f"\nlimit, {name}: {_range(limit)} GFLOP/s")
    print(f"\nlimit, copies: {_range(copies)} GB/s, read and written")
    if values["json"]:
        content = {"gflop": flops / 1e9, "limit_gflops": limits, "limit_copy_gbps": copies}
        write_json(values["json"], {**content, "contestants": numbers})


def list_contestants(values: Mapping[str, Any], size: Size) -> list[Contestant]:
    """Returns the contestants; PyTorch is one of them only where it is installed."""
    is_hd = values["method"] == "pix2pixhd"
    ours, theirs = ("ours_hd", "pytorch_hd") if is_hd else ("ours", "pytorch")
    sizes = (text(size) if is_hd else str(size[0]), str(values["batch_size"]))
    limit = ("256", "1")  # The limits have sizes of their own.
    contestants = []
    has_peer = has_module(values["pytorch"], "torch")
    if not has_peer:
        say(f"{values['pytorch']} has no PyTorch, so its columns are left out; --pytorch names one that has")
    for precision in values["precisions"]:
        given = (values["what"], precision, *sizes)
        contestants.append(python_contestant(f"ours {precision}", ours, *given))
        contestants.append(python_contestant(f"limit {precision}", "ours", "matmul", precision, *limit))
        if has_peer:
            peer = python_contestant(f"PyTorch {precision}", theirs, *given, python=values["pytorch"])
            contestants.append(peer)
    return [*contestants, python_contestant("limit copy", "ours", "copy", PRECISIONS[0], *limit)]


def count_method_flops(method: str, what: str, size: Size) -> float:
    """Returns the floating-point operations of the convolutions for one image of a method's networks.

    Raises:
      UsageError: for a size that the networks would pad.
    """
    if method == "pix2pixhd":
        return count_hd_flops(what, size)
    if size[0] != size[1]:
        raise UsageError(f"--image_size must be one number for --method=pix2pix. Received: {text(size)}")
    return count_flops(what, size[0])


def choose_depth(image_size: int) -> int:
    """Returns the U-Net's number of downsamplings.

    Raises:
      UsageError: for sizes that cannot be halved so often: our network would pad them, and PyTorch refuses
        them.
    """
    depth = min(8, image_size.bit_length() - 1)
    if image_size % 2**depth:
        raise UsageError(f"--image_size must be 32, 64, 128, or a multiple of 256. Received: {image_size}")
    return depth


def count_flops(what: str, image_size: int) -> float:
    """Returns the floating-point operations of the convolutions for one image of the facades networks."""
    depth = choose_depth(image_size)
    widths = [64 * min(2**block, 8) for block in range(depth)]

    def convolution(small_px: float, channels: int, filters: int) -> float:
        return 2 * small_px**2 * 16 * channels * filters

    sides = [image_size / 2 ** (block + 1) for block in range(depth)]
    inputs, outputs = [3, *widths[:-1]], [3, *widths[:-1]]
    encoder = [convolution(*each) for each in zip(sides, inputs, widths, strict=True)]
    skips = [2 * width for width in widths[:-1]] + [widths[-1]]
    decoder = [convolution(*each) for each in zip(sides, outputs, skips, strict=True)]
    generator = sum(encoder) + sum(decoder)
    if what == "forward":
        return generator
    eighth = image_size / 8
    patch = [convolution(*each) for each in zip(sides, [6, 64, 128], [64, 128, 256], strict=False)]
    patch += [convolution(eighth - 1, 256, 512), convolution(eighth - 2, 512, 1)]
    # A layer costs its forward pass and two gradients, except that no gradient of the images themselves is
    # needed. The discriminator sees two images in its own update. In that of the generator it sees one, and
    # passes a gradient on to it.
    return 3 * generator - encoder[0] + 2 * (3 * sum(patch) - patch[0]) + 2 * sum(patch)


def count_hd_flops(what: str, size: Size) -> float:
    """Returns the floating-point operations of the convolutions for one image of pix2pixHD at full width.

    Raises:
      UsageError: for sides that are no multiples of 16 px, which our network would pad.
    """
    if any(side % 16 for side in size):
        raise UsageError(f"--image_size must be multiples of 16 for pix2pixhd. Received: {text(size)}")
    area, widths = size[0] * size[1], [64, 128, 256, 512, 1024]
    first = 2 * area * 49 * 36 * 64
    # The convolution to a smaller map and the one back from it have one product for each of its pixels.
    pairs = [
        2 * 2 * area / 4**level * 9 * outer * inner
        for level, (outer, inner) in enumerate(itertools.pairwise(widths), start=1)
    ]
    generator = first + sum(pairs) + 9 * 2 * 2 * area / 256 * 9 * 1024**2 + 2 * area * 49 * 64 * 3
    if what == "forward":
        return generator
    discriminator, seeing = 0.0, 0.0
    for scale in (1, 2):
        sides = [-(-side // scale) for side in size]
        for layer, (channels, filters) in enumerate([(39, 64), (64, 128), (128, 256), (256, 512), (512, 1)]):
            sides = [side // 2 + 1 if layer < 3 else side + 1 for side in sides]
            work = 2 * sides[0] * sides[1] * 16 * channels * filters
            discriminator += work
            seeing += work if layer == 0 else 0.0
    # As in `count_flops`, but each image is judged once for both losses: two passes and their gradients for
    # the discriminators, and a gradient of the generated image.
    return 3 * generator - first + 2 * (3 * discriminator - seeing) + discriminator


def summarise_network(name: str, results: Mapping[str, Result], flops: float) -> dict[str, Any]:
    """Returns a contestant's numbers: milliseconds, ratios within rounds, share of the limit, memory."""
    result, limit = results[name], results[f"limit {name.split()[-1]}"]
    least_sec = flops / MATMUL_FLOPS * limit.seconds
    peers = {peer: each for peer, each in results.items() if peer.startswith("PyTorch")}
    return {
        "ms": summarise(result.seconds * 1e3),
        "ratio": {peer: summarise(each.seconds / result.seconds) for peer, each in peers.items()},
        "share_of_limit": summarise(least_sec / result.seconds),
        **result.facts,
    }


def _row(name: str, numbers: Mapping[str, Any], peers: list[str]) -> list[str]:
    milliseconds, share = numbers["ms"], numbers["share_of_limit"]
    ratios = [numbers["ratio"][peer] for peer in peers]
    return [
        name,
        _range(milliseconds),
        *(f"{ratio['median']:.2f}x ({ratio['low']:.2f}-{ratio['high']:.2f})" for ratio in ratios),
        f"{share['median']:.0%}",
        f"{numbers['peak_rss_mib']:.0f}",
        f"{numbers['peak_own_mib']:.0f}" if "peak_own_mib" in numbers else "",
    ]


def _range(values: Mapping[str, float]) -> str:
    return f"{values['median']:.0f} ({values['low']:.0f}-{values['high']:.0f})"


if __name__ == "__main__":
    command_line.run(main)
