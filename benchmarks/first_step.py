"""Opens a data set as `train` does, and prints what that took as a line of JSON.

    python -m benchmarks.first_step train FOLDER WORKDIR STEPS
    python -m benchmarks.first_step photos FOLDER

`train` is the way from the start of the process to the end of its first step, and `photos` the opening of
photos of which nothing is kept in memory.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from tfpix2pix.pipelines.base.command_line import import_tensorflow

MIB = 2**20
# `ru_maxrss` is in KiB, on macOS in bytes.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def measure_training(folder: Path, workdir: Path, steps: int) -> dict[str, Any]:
    """Trains a tiny network until `steps`, and returns what it took to the end of the first step."""
    wall_start = time.perf_counter()
    import_tensorflow()
    from tfpix2pix.config.config import make_config
    from tfpix2pix.run.callbacks import Callback
    from tfpix2pix.train.training import train_and_evaluate

    told: dict[str, Any] = {}

    class Clock(Callback):
        """Looks at the clock after the first step."""

        def on_steps(self, moment) -> None:
            if not told:
                told.update(_look(wall_start), step=moment.step)

    config = make_config(
        data_dir=str(folder),
        image_size=32,
        base_filters=4,
        steps=steps,
        summary_every_steps=1,
        validate_examples=4,
        export=False,
    )
    train_and_evaluate(config, workdir, callbacks=[Clock()])
    return told


def measure_photos(folder: Path) -> dict[str, Any]:
    """Opens photos for a task that learns from them alone, and returns what that took beside the imports."""
    import_tensorflow(with_keras=False)
    from tfpix2pix.pipelines import datasets
    from tfpix2pix.pipelines.tasks.tasks import make_task

    imported, wall_start = time.process_time(), time.perf_counter()
    task = make_task("colorize")
    source = datasets.open_split(folder.name, "train", data_dir=folder, cache_mib=0, task=task)
    told = _look(wall_start)
    return {**told, "cpu_sec": told["cpu_sec"] - imported, "photos": len(source)}


def _look(wall_start: float) -> dict[str, Any]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
    return {
        "cpu_sec": time.process_time(),
        "wall_sec": time.perf_counter() - wall_start,
        "peak_rss_mib": peak / MIB,
    }


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "train":
        result = measure_training(Path(rest[0]), Path(rest[1]), int(rest[2]))
    else:
        result = measure_photos(Path(rest[0]))
    print(json.dumps(result))
