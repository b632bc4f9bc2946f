"""What others hear of a training while it runs, and how they stop it."""

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError, UserError, shorten


@dataclasses.dataclass(frozen=True)
class Moment:
    """Where a training stands when a callback is called.

    Attributes:
      step: number of steps taken, including those of earlier starts.
      first_step: the step that this start went on from; 0 in a new run.
      epoch: number of passes over the training examples, with a fraction.
      workdir: folder of the run.
      losses: what the last line of metrics.jsonl says of the training: the mean of each loss since the line
        before, `images_per_sec`, `learning_rate`, `epoch`. It is empty before the first one of this start.
      scores: scores of the last validation; empty before the first one.
      best: `step`, `metric` and `score` of the best validation; None before the first one.
      metric: name of the score that decides which checkpoint is the best.
      higher_is_better: whether higher values of that score are better.
    """

    step: int
    first_step: int
    epoch: float
    workdir: Path
    losses: Mapping[str, float]
    scores: Mapping[str, float]
    best: Mapping[str, Any] | None
    metric: str
    higher_is_better: bool


class Callback:
    """Base of what `train_and_evaluate` calls while it trains. A subclass overrides what it needs.

    Attributes:
      stop_reason: a subclass sets it to a text to stop the run. A checkpoint is then saved, and the run ends
        as if it had taken all its steps. If it is started again, it is finished, unless the callback is left
        out.
    """

    stop_reason: str = ""

    def on_steps(self, moment: Moment) -> None:
        """Is called every `summary_every_steps` steps, after the losses were written."""

    def on_validation(self, moment: Moment) -> None:
        """Is called after each validation."""

    def on_checkpoint(self, moment: Moment) -> None:
        """Is called after a checkpoint of the current step was written."""

    def get_state(self) -> dict[str, Any]:
        """Returns what the next start of the run needs to know, in types of JSON. Checkpoints hold it."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes what `get_state` returned at the checkpoint that the run goes on from; {} in a new run."""


class EarlyStopping(Callback):
    """Stops a run whose score has not improved for several validations.

    The checkpoint that is best by the setting `best_metric`, which need not be this `metric`, stays in the
    run as `checkpoint="best"`. How long the run has waited is kept in each checkpoint, so that a run that was
    killed and goes on stops at the same step.

    Args:
      patience: number of validations in a row without an improvement after which the run stops.
      metric: name of a score of the validation; None for the setting `best_metric`.
      higher_is_better: whether higher values of `metric` are better; needed with `metric`.
      min_delta: a score improves only if it is better than the best one by more than this.
    """

    def __init__(
        self,
        patience: int = 10,
        metric: str | None = None,
        higher_is_better: bool | None = None,
        min_delta: float = 0.0,
    ):
        if patience < 1:
            raise UsageError(f"`patience` must be at least 1. Received: {patience}")
        if (metric is None) != (higher_is_better is None):
            raise UsageError("`metric` and `higher_is_better` of EarlyStopping go together")
        self.patience, self.metric, self.min_delta = patience, metric, min_delta
        self.higher_is_better = higher_is_better
        self._state: dict[str, Any] = {}
        self.set_state({})

    def on_validation(self, moment: Moment) -> None:
        """Compares the score with the best one so far."""
        metric = self.metric or moment.metric
        if metric not in moment.scores:
            raise UsageError(
                f"EarlyStopping knows no score `metric={metric}`: validations have {', '.join(moment.scores)}"
            )
        is_better = moment.higher_is_better if self.higher_is_better is None else self.higher_is_better
        score, best = moment.scores[metric], self._state["score"]
        gain = (score - best if is_better else best - score) if best is not None else math.inf
        if not math.isnan(score) and gain > self.min_delta:
            self._state = {"metric": metric, "score": score, "step": moment.step, "waited": 0}
        else:
            self._state = {**self._state, "metric": metric, "waited": self._state["waited"] + 1}
        self._judge()

    def get_state(self) -> dict[str, Any]:
        """Returns the best score, its step, and the number of validations since then."""
        return self._state

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on waiting; a run that was stopped goes on if it is now given more patience."""
        is_of_another = self.metric is not None and state.get("metric") != self.metric
        start = {"metric": self.metric, "score": None, "step": 0, "waited": 0}
        self._state = dict(start if is_of_another or not state else state)
        self._judge()

    def _judge(self) -> None:
        metric, score, step, waited = (self._state[name] for name in ("metric", "score", "step", "waited"))
        found = "no number yet" if score is None else f"{score:.4f} at step {step}"
        self.stop_reason = (
            f"{metric} has not improved for {waited} validations (the best is {found})"
            if waited >= self.patience
            else ""
        )


class CsvLog(Callback):
    """Writes a CSV file with a row for each step that has losses or scores, for spreadsheets and pandas.

    Args:
      file: the file; None for `metrics.csv` in the folder of the run. Rows of steps after the checkpoint that
        a run goes on from are removed, because those steps are taken again.
    """

    def __init__(self, file: str | Path | None = None):
        self._given = file
        self._rows: dict[int, dict[str, Any]] | None = None

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Reads the file anew at the first moment of this start."""
        self._rows = None

    def on_steps(self, moment: Moment) -> None:
        """Writes the losses."""
        self._write(moment, moment.losses)

    def on_validation(self, moment: Moment) -> None:
        """Writes the scores."""
        self._write(moment, {f"validation_{name}": score for name, score in moment.scores.items()})

    def _write(self, moment: Moment, values: Mapping[str, float]) -> None:
        file = Path(self._given or moment.workdir / "metrics.csv")
        if self._rows is None:
            self._rows = _read_rows(file, moment.first_step)
        self._rows.setdefault(moment.step, {"step": moment.step}).update({"epoch": moment.epoch, **values})
        columns = {name: None for row in self._rows.values() for name in row}
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows.values())
        staging.write_file(file, text.getvalue().encode())


def _read_rows(file: Path, last_step: int) -> dict[int, dict[str, Any]]:
    """Returns the rows of a file of `CsvLog` by step, without empty cells, up to a step."""
    if not last_step or not file.exists():
        return {}
    with file.open(newline="") as lines:
        rows = [{name: value for name, value in row.items() if value} for row in csv.DictReader(lines)]
    return {int(row["step"]): row for row in rows if int(row["step"]) <= last_step}


class Callbacks:
    """The callbacks of a training: calls them, and carries their states from start to start.

    Args:
      callbacks: in the order in which they are called.

    Raises:
      UsageError: for something that is no `Callback`.
    """

    def __init__(self, callbacks: Sequence[Callback] = ()):
        self._named: dict[str, Callback] = {}
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise UsageError(
                    "`callbacks` takes objects of classes that derive from tfpix2pix.Callback. "
                    f"Received: {callback!r}"
                )
            kind = type(callback).__name__
            number = sum(type(other).__name__ == kind for other in self._named.values())
            self._named[f"{kind}_{number + 1}" if number else kind] = callback

    @property
    def stop_reason(self) -> str:
        """Why the run is to stop; empty if it goes on."""
        return "; ".join(each.stop_reason for each in self._named.values() if each.stop_reason)

    def restore(self, states: Mapping[str, Any]) -> None:
        """Gives each callback the state that `get_states` has returned for it."""
        for name, callback in self._named.items():
            kept = states.get(name, {})
            with _named_failures(name, "set_state"):
                callback.stop_reason = kept.get("stop_reason", "")
                callback.set_state(kept.get("state", {}))

    def get_states(self) -> dict[str, Any]:
        """Returns the states of all callbacks in types of JSON."""
        states = {}
        for name, callback in self._named.items():
            with _named_failures(name, "get_state"):
                state = json.loads(json.dumps(callback.get_state()))
                states[name] = {"stop_reason": callback.stop_reason, "state": state}
        return states

    def tell(self, event: str, moment: Moment) -> None:
        """Calls the method `event` of all callbacks."""
        for name, callback in self._named.items():
            with _named_failures(name, event):
                getattr(callback, event)(moment)


@contextmanager
def _named_failures(name: str, event: str) -> Iterator[None]:
    """Raises UserError that names the callback, because a failed request of one looks like a full disk."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{event} of the callback {name} failed ({shorten(error)}). Mend it, or leave it out of "
            "`callbacks`, and start the run again to go on from its latest checkpoint"
        ) from error
