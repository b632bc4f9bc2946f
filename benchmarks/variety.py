"""How much of the variety of the generated facades a run has, and how real its pictures are.

    python -m benchmarks.variety runs/pix2pix runs/bicyclegan --segmenter=runs/fcn --checkpoints=all

The colour of a wall is drawn, whatever the labels are, so that one label map has many true photos. The
spread is the standard deviation of the walls' mean colours: of the true walls over the photos of the
split, and of a run over the samples of each label map. The table shows its share of the true one, and
the coverage: how far the nearest of N samples is from the true photo. `variety.png` in the folder of
the run shows pictures.

A segmentation network that was trained on the true photos adds two measures of realism: the FCN-score,
and the KID between samples and true photos, by the package's kernel and by the features of that network's
layer fc7, averaged over the pixels. Every sample of each label map counts: the KID is the mean over those
of the first samples, of the second, and so on. With `--checkpoints=all` the lines of a run are a curve of
variety against realism.
"""

import argparse
import dataclasses
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.metrics.fcn.segmenter import KerasSegmenter, load_segmenter
from tfpix2pix.metrics.inception import kernel_distance
from tfpix2pix.metrics.segmentation_scores import confusion_matrices, segmentation_scores
from tfpix2pix.networks.inference import compile_generator, sample_seed
from tfpix2pix.pipelines.catalogue import FACADES_PALETTE
from tfpix2pix.pipelines.synthetic.facades import SyntheticPair, draw_pair, pair_index
from tfpix2pix.pipelines.tasks.transforms import to_unit_range
from tfpix2pix.run.checkpoints import list_steps
from tfpix2pix.run.generator import load_generator

WALL = 1  # class id, in the order of `catalogue.FACADES_PALETTE`
MIN_WALL_PX = 100
FEATURES_LAYER = "fc7_relu"
COVERAGE = (1, 2, 4, 8)


@dataclasses.dataclass(frozen=True, eq=False)
class Judge:
    """A segmentation network of true photos: what it finds in photos, and its features of them."""

    segmenter: KerasSegmenter
    features: keras.Model

    def scores(self, photos: np.ndarray, class_ids: np.ndarray) -> dict[str, float]:
        """Returns the FCN-score of photos, float32 [N, H, W, 3], whose classes are `class_ids`, [N, H, W]."""
        confusion = confusion_matrices(class_ids, np.asarray(self.segmenter(photos)), len(FACADES_PALETTE))
        return {name: float(value) for name, value in segmentation_scores(confusion.sum(0)).items()}

    def find_features(self, photos: np.ndarray) -> np.ndarray:
        """Returns features of photos, float32 [N, features]."""
        return self.features(tf.convert_to_tensor(photos), training=False).numpy()


def make_judge(segmenter: KerasSegmenter) -> Judge:
    """Returns a judge by an FCN-8s, such as `load_segmenter` opens."""
    maps = segmenter.network.get_layer(FEATURES_LAYER).output
    means = keras.layers.GlobalAveragePooling2D(dtype="float32")(maps)
    return Judge(segmenter, keras.Model(segmenter.network.inputs, means))


def wall_colour(photo: np.ndarray, pair: SyntheticPair) -> np.ndarray:
    """Returns the mean colour of the wall of a photo, float32 [H, W, 3], in its unit."""
    return photo[pair.class_ids == WALL].mean(0)


def spread(colours: np.ndarray) -> float:
    """Returns the root of the summed variances of colours [..., N, 3] over N, averaged over the rest."""
    return float(np.sqrt(colours.var(axis=-2, ddof=1).sum(-1).mean()))


def draw_pairs(count: int, seed: int, image_size: tuple[int, int]) -> list[SyntheticPair]:
    """Returns the first pairs of the val split, less those with little wall."""
    pairs = [draw_pair(seed, pair_index("val", place), image_size) for place in range(count)]
    return [pair for pair in pairs if (pair.class_ids == WALL).sum() >= MIN_WALL_PX]


def measure(
    workdir: Path, samples: int, count: int, checkpoint: str = "latest", judge: Judge | None = None
) -> str:
    """Returns a line of a table for a checkpoint of a run.

    The cells are the share of the spread, the L1, and the L1 of the nearest of N samples; with a judge, the
    KID, the accuracy of the pixels and the IoU of the classes too.
    """
    generator, config, step = load_generator(workdir, checkpoint)
    generate = compile_generator(generator)
    pairs = draw_pairs(count, config.seed, config.image_size)
    truth = np.stack([to_unit_range(pair.photo) for pair in pairs])
    inputs = tf.stack([to_unit_range(pair.label_map) for pair in pairs])
    by_sample = [
        generate(inputs, tf.stack([sample_seed(place, sample) for place in range(len(pairs))])).numpy()
        for sample in range(samples)
    ]
    outputs = np.stack(by_sample, axis=1)
    colours = np.stack(
        [[wall_colour(each, pair) for each in of] for of, pair in zip(outputs, pairs, strict=True)]
    )
    true_colours = np.stack([wall_colour(photo, pair) for photo, pair in zip(truth, pairs, strict=True)])
    distances = np.abs(outputs - truth[:, None]).mean((2, 3, 4))
    nearest = [distances[:, :number].min(1).mean() for number in COVERAGE if number <= samples]
    show(workdir, outputs, truth, pairs)
    cells = [f"{spread(colours) / spread(true_colours):.0%}", *(f"{value:.3f}" for value in nearest)]
    if judge is not None:
        cells += judge_samples(judge, by_sample, truth, pairs)
    return f"| {workdir.name} | {step} | {' | '.join(cells)} |"


def judge_samples(
    judge: Judge, by_sample: list[np.ndarray], truth: np.ndarray, pairs: list[SyntheticPair]
) -> list[str]:
    """Returns the cells of realism: KID times 1000, accuracy of the pixels, IoU of the classes."""
    class_ids = np.stack([pair.class_ids for pair in pairs])
    true_features = judge.find_features(truth)
    kids = [kernel_distance(judge.find_features(photos), true_features) for photos in by_sample]
    scores = [judge.scores(photos, class_ids) for photos in by_sample]
    means = [np.mean([each[name] for each in scores]) for name in ("pixel_accuracy", "class_iou")]
    return [f"{1000 * np.mean(kids):.2f}", *(f"{value:.3f}" for value in means)]


def show(workdir: Path, outputs: np.ndarray, truth: np.ndarray, pairs: list[SyntheticPair]) -> None:
    """Writes a sheet of label maps, photos and samples to `variety.png` in the folder of the run."""
    rows = [
        np.concatenate([to_unit_range(pair.label_map), photo, *of], axis=1)
        for pair, photo, of in zip(pairs[:6], truth, outputs, strict=False)
    ]
    pixels = tf.cast(tf.round((np.concatenate(rows).clip(-1, 1) + 1) * 127.5), tf.uint8)
    (workdir / "variety.png").write_bytes(tf.io.encode_png(pixels).numpy())


def main() -> None:
    """Prints a table with a line for each run, or for each of its checkpoints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--segmenter", type=Path, help="a run of python -m tfpix2pix.metrics.fcn")
    parser.add_argument("--checkpoints", choices=("latest", "all"), default="latest")
    options = parser.parse_args()
    judge = make_judge(load_segmenter(options.segmenter)) if options.segmenter else None
    nearest = [f"nearest of {number}" for number in COVERAGE[1:] if number <= options.samples]
    head = ["run", "step", "share of the spread", "L1", *nearest]
    head += ["1000 KID", "pixel accuracy", "class IoU"] if judge else []
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for run in options.runs:
        steps = list_steps(run) if options.checkpoints == "all" else ["latest"]
        for step in steps:
            print(measure(run, options.samples, options.count, str(step), judge), flush=True)


if __name__ == "__main__":
    main()
