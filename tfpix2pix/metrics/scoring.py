"""Scores a generator on a split: every example once, in order, with all metrics in one pass."""

import base64
import dataclasses
import functools
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfpix2pix.config.options import Size
from tfpix2pix.metrics.label_maps import read_label_ids
from tfpix2pix.metrics.registry import Examples, Metric, Partials, Result, Tools
from tfpix2pix.networks.inference import Generate
from tfpix2pix.pictures.examples import Pictures, ShownExamples, ShowSample, show_examples, show_image
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.examples import NUM_NOISE_SEEDS
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.tasks.tasks import Example, Task

BATCH_SIZE = 4  # No score depends on it, because each image is normalised by its own statistics.

# A function that is shown each batch before the batch is measured.
Watch = Callable[[Examples, ShownExamples, ShowSample], None]


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """The examples that are scored, and how they are read.

    Attributes:
      source: the pairs.
      image_size: (height, width) px that pairs are resized to, if they are.
      noise_seed: seed of the noise; each example gets noise of its own.
      tools: what metrics may need; its palette and label side find the class ids for those that read them.
      batch_size: number of images that are translated at a time.
      resize: whether pairs are resized. If not, each has its own size and is a batch of its own.
    """

    source: Source
    image_size: Size
    noise_seed: int
    tools: Tools
    batch_size: int = BATCH_SIZE
    resize: bool = True


@dataclasses.dataclass(frozen=True)
class Share:
    """One worker's part of a split that several workers score: every `count`-th batch.

    Attributes:
      index: which of the workers this is, from 0.
      count: the number of workers.
      exchange: tells all workers something that JSON can hold, and returns what all have told, in order.
    """

    index: int = 0
    count: int = 1
    exchange: Callable[[Any], list[Any]] = lambda message: [message]

    def join(self, parts: Sequence[Partials]) -> list[Partials]:
        """Returns the rows of all batches in their order, of those of the batches of each worker."""
        told = [_unpack(each) for each in self.exchange(_pack(parts))]
        total = sum(map(len, told))
        return [told[place % self.count][place // self.count] for place in range(total)]


ALONE = Share()


def _pack(parts: Sequence[Partials]) -> str:
    contents = io.BytesIO()
    arrays = {f"{place} {key}": value for place, part in enumerate(parts) for key, value in part.items()}
    np.savez(contents, **arrays)  # type: ignore[arg-type]  # no array is called `allow_pickle`
    return base64.b64encode(contents.getvalue()).decode()


def _unpack(text: str) -> list[Partials]:
    parts: dict[int, dict[str, np.ndarray]] = {}
    with np.load(io.BytesIO(base64.b64decode(text))) as arrays:
        for name in arrays.files:
            place, _, key = name.partition(" ")
            parts.setdefault(int(place), {})[key] = arrays[name]
    return [parts[place] for place in sorted(parts)]


def score_split(
    generate: Generate,
    split: Split,
    metrics: Mapping[str, Metric],
    watch: Watch | None = None,
    share: Share = ALONE,
) -> dict[str, Result]:
    """Translates every example once and shows it to every metric.

    Metrics that share a `measure` share what it returns.

    Args:
      generate: (input_image, noise_seed) -> generated_image.
      split: what is scored.
      metrics: by name.
      watch: sees each batch, its pictures, and what shows its samples, before it is measured.
      share: this worker's part, where several score the split together. All get the results, which are those
        of one worker, bit for bit.

    Returns:
      The results by metric.

    Raises:
      BadImageError: for files of the split that cannot be read.
    """
    measures = list(dict.fromkeys(metric.measure for metric in metrics.values()))
    reads_labels = any(metric.reads_labels for metric in metrics.values())
    partials: dict[Any, list[Partials]] = {measure: [] for measure in measures}
    num_samples = max((metric.samples for metric in metrics.values()), default=1)
    with split.source.naming_bad_files():
        for examples, shown, show_sample in _translate(generate, split, num_samples, reads_labels, share):
            if watch:
                watch(examples, shown, show_sample)
            for measure in measures:
                partials[measure].append(measure(examples))
    if share.count > 1:
        partials = {measure: share.join(partials[measure]) for measure in measures}
    whole = {measure: _concatenate(parts) for measure, parts in partials.items()}
    return {name: metric.combine(whole[metric.measure]) for name, metric in metrics.items()}


def _translate(
    generate: Generate, split: Split, num_samples: int, reads_labels: bool, share: Share
) -> Iterator[tuple[Examples, ShownExamples, ShowSample]]:
    source, tools = split.source, split.tools
    batch_size = split.batch_size if split.resize else 1
    dataset = build_dataset(
        source,
        image_size=split.image_size,
        batch_size=batch_size,
        training=False,
        seed=split.noise_seed,
        resize=split.resize,
        num_shards=share.count,
        shard_index=share.index,
    )
    size = split.image_size if split.resize else None
    palette = tools.palette if reads_labels else None
    part = (share.index, share.count)
    all_ids = read_label_ids(source, palette, tools.label_side, size, batch_size, part)
    for batch, label_ids in zip(dataset, all_ids, strict=False):
        seeds = [sample_seeds(batch["noise_seed"], sample) for sample in range(num_samples)]
        samples = tf.stack([generate(batch["input_image"], each) for each in seeds])
        shown = show_examples(source.task, batch, samples[0])
        yield (
            Examples(
                target_image=batch["target_image"],
                generated_samples=samples,
                target_picture=shown.target,
                generated_picture=shown.generated,
                label_ids=label_ids,
                mask=batch.get("mask"),
                noise_seeds=tf.stack(seeds),
            ),
            shown,
            functools.partial(_show_sample, source.task, batch, samples),
        )


def _show_sample(task: Task, batch: Example, samples: tf.Tensor, sample: int) -> Pictures:
    return show_image(task.complete(batch, samples[sample]))


def sample_seeds(noise_seed: tf.Tensor, sample: int) -> tf.Tensor:
    """Returns the seeds of the n-th sample, which are those of a split whose `noise_seed` is n higher."""
    moved = tf.cast(noise_seed, tf.int64) + [sample, 0]
    return tf.cast(moved % NUM_NOISE_SEEDS, tf.int32)


def _concatenate(parts: Sequence[Partials]) -> Partials:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
