"""Compares how fast batches are made with the pipeline of TensorFlow's pix2pix tutorial.

    python -m benchmarks.pipeline [--data=DIR]

The pairs have the size of the facades, are jittered and mirrored, and come in batches of one. The first epoch
does not count. Our pipeline takes part three times: as it runs by default, with decoded but not resized
images in memory, and with nothing in memory, so that it reads the files in every epoch. Two contestants only
decode the files, or decode and resize them, which shows how far that is from what TensorFlow can do.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from benchmarks.measurement import (
    Result,
    python_contestant,
    show_table,
    summarise,
    take_turns,
    write_json,
)
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.progress import show_progress

PEER = "tutorial"
CONTESTANTS = {
    "ours": "ours, resized pixels kept (default)",
    "ours_decoded": "ours, decoded pixels kept",
    "ours_files": "ours, nothing kept",
    PEER: "TensorFlow's tutorial",
    "decoding": "the limit: files decoded, no more",
    "resizing": "the limit: files decoded and resized",
}
GENERATED_PAIRS = 200
GENERATED_PX = 256
EPOCHS_PER_TURN = 3


def main(argv: Sequence[str]) -> None:
    """Measures, prints a table, and writes JSON if `--json` asks for it."""
    flag_values = command_line.new_flags()
    text = "Read the pairs in this folder, which holds train/ with JPEG files. Default: generated pairs."
    flags.DEFINE_string("data", None, text, flag_values=flag_values)
    flags.DEFINE_integer("rounds", 7, "Give each pipeline this many turns.", 1, flag_values=flag_values)
    flags.DEFINE_string("json", None, "Write the numbers to this file, as JSON.", flag_values=flag_values)
    values = command_line.read_flags(flag_values, __doc__ or "", argv)
    with _open_folder(values["data"]) as folder:
        contestants = [python_contestant(name, "feeds", name, str(folder)) for name in CONTESTANTS]
        results = take_turns(contestants, values["rounds"], EPOCHS_PER_TURN)
    numbers = {name: summarise_feed(result, results[PEER]) for name, result in results.items()}
    show_table(
        ["pipeline", "images/s", "against the tutorial", "CPU ms per image", "peak memory, MiB"],
        [_row(CONTESTANTS[name], each) for name, each in numbers.items()],
    )
    if values["json"]:
        data = values["data"] or "generated"
        write_json(values["json"], {"data": data, "pipelines": numbers})


def summarise_feed(result: Result, peer: Result) -> dict[str, Any]:
    """Returns a pipeline's numbers.

    Args:
      result: the result of the pipeline, in seconds per epoch.
      peer: the result of the pipeline to compare it with, over the same images.

    Returns:
      `images_per_sec`, `ratio` (of the speeds, within rounds) and `cpu_ms_per_image`,
      each with its median and quartiles; `peak_rss_mib`; and `images`, the number of images.
    """
    num_images = result.facts["images"]
    # Warm-ups are left out.
    cpu_sec = np.array(result.facts["cpu_sec"][-len(result.seconds) * EPOCHS_PER_TURN :])
    return {
        "images_per_sec": summarise(num_images / result.seconds),
        "ratio": summarise(peer.seconds / result.seconds),
        "cpu_ms_per_image": summarise(1000 * cpu_sec / num_images),
        "peak_rss_mib": result.facts["peak_rss_mib"],
        "images": num_images,
    }


def _row(name: str, numbers: Mapping[str, Any]) -> list[str]:
    speed, ratio, cpu = (numbers[key] for key in ("images_per_sec", "ratio", "cpu_ms_per_image"))
    return [
        name,
        f"{speed['median']:.0f} ({speed['low']:.0f}-{speed['high']:.0f})",
        f"{ratio['median']:.2f}x ({ratio['low']:.2f}-{ratio['high']:.2f})",
        f"{cpu['median']:.2f}",
        f"{numbers['peak_rss_mib']:.0f}",
    ]


@contextlib.contextmanager
def _open_folder(data: str | None) -> Iterator[Path]:
    """Yields the absolute path of the folder of pairs; generated pairs are removed afterwards."""
    if data:
        if not any(Path(data, "train").glob("*.jpg")):
            raise UserError(f"{data} holds no train/*.jpg; --data names a folder of side-by-side JPEG pairs")
        yield Path(data).resolve()
        return
    with tempfile.TemporaryDirectory() as folder:
        write_generated_pairs(Path(folder) / "train", GENERATED_PAIRS, GENERATED_PX)
        yield Path(folder)


def write_generated_pairs(folder: Path, count: int, image_px: int) -> None:
    """Writes generated facades as JPEG files, with the photo on the left and the label map on the right."""
    command_line.import_tensorflow()
    import tensorflow as tf

    from tfpix2pix.pipelines.files import generated

    source = generated.open_synthetic("train", "AtoB", count, (image_px, image_px))
    folder.mkdir()
    with show_progress("Writing generated pairs", count, "pairs") as progress:
        for index, name in enumerate(source.example_ids):
            both = tf.concat(source.read(tf.constant(index)), axis=1)
            (folder / f"{name}.jpg").write_bytes(tf.io.encode_jpeg(both).numpy())
            progress.update()


if __name__ == "__main__":
    command_line.run(main)
