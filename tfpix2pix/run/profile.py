"""`profile_steps`: TensorFlow's profiler, which is on for a range of steps."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from tfpix2pix.config.config import parse_step_range
from tfpix2pix.run.summaries import log_folder


class Profiler:
    """Records the steps that `profile_steps` names, for TensorBoard.

    Args:
      workdir: the folder of the run; the trace goes to its `log_folder`.
      config: the settings of the run; those without `profile_steps` profile nothing.
    """

    def __init__(self, workdir: Path, config: Any):
        self._folder = str(log_folder(workdir))
        self._first, self._last = parse_step_range(getattr(config, "profile_steps", "")) or (-1, -1)
        self._running = False

    def switch(self, step: int) -> None:
        """Starts or stops the profiler, before the step after `step` is taken."""
        due = self._first <= step < self._last
        if due and not self._running:
            tf.profiler.experimental.start(self._folder)
        elif self._running and not due:
            tf.profiler.experimental.stop()
        self._running = due

    def close(self) -> None:
        """Stops the profiler if it still runs."""
        if self._running:
            tf.profiler.experimental.stop()
