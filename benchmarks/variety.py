"""How much of the variety of the generated facades a run has: labels do not tell the colours of walls.

    python -m benchmarks.variety runs/pix2pix runs/bicyclegan

The colour of a wall is drawn, whatever the labels are, so that one label map has many true photos. The
spread is the standard deviation of the walls' mean colours: of the true walls over the photos of the
split, and of a run over the samples of each label map. The table shows its share of the true one, and
the coverage: how far the nearest of N samples is from the true photo. `variety.png` in the folder of
the run shows pictures.
"""

import argparse
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfpix2pix.networks.inference import compile_generator, sample_seed
from tfpix2pix.pipelines.synthetic.facades import SyntheticPair, draw_pair, pair_index
from tfpix2pix.pipelines.tasks.transforms import to_unit_range
from tfpix2pix.run.generator import load_generator

WALL = 1  # class id, in the order of `catalogue.FACADES_PALETTE`
MIN_WALL_PX = 100


def wall_colour(photo: np.ndarray, pair: SyntheticPair) -> np.ndarray:
    """Returns the mean colour of the wall of a photo, float32 [H, W, 3], in its unit."""
    return photo[pair.class_ids == WALL].mean(0)


def spread(colours: np.ndarray) -> float:
    """Returns the root of the summed variances of colours [..., N, 3] over N, averaged over the rest."""
    return float(np.sqrt(colours.var(axis=-2, ddof=1).sum(-1).mean()))


def measure(workdir: Path, samples: int, count: int) -> str:
    """Returns a line of a table for a run: share of the spread, L1, and L1 of the nearest of N samples."""
    generator, config, step = load_generator(workdir)
    generate = compile_generator(generator)
    pairs = [draw_pair(config.seed, pair_index("val", place), config.image_size) for place in range(count)]
    pairs = [pair for pair in pairs if (pair.class_ids == WALL).sum() >= MIN_WALL_PX]
    truth = np.stack([to_unit_range(pair.photo) for pair in pairs])
    outputs = np.stack(
        [
            [
                generate(to_unit_range(pair.label_map)[None], sample_seed(place, sample)[None])[0]
                for sample in range(samples)
            ]
            for place, pair in enumerate(pairs)
        ]
    )
    colours = np.stack(
        [[wall_colour(each, pair) for each in of] for of, pair in zip(outputs, pairs, strict=True)]
    )
    true_colours = np.stack([wall_colour(photo, pair) for photo, pair in zip(truth, pairs, strict=True)])
    distances = np.abs(outputs - truth[:, None]).mean((2, 3, 4))
    nearest = [distances[:, :number].min(1).mean() for number in (1, 2, 4, 8) if number <= samples]
    show(workdir, outputs, truth, pairs)
    cells = [f"{spread(colours) / spread(true_colours):.0%}", *(f"{value:.3f}" for value in nearest)]
    return f"| {workdir.name} | {step} | {' | '.join(cells)} |"


def show(workdir: Path, outputs: np.ndarray, truth: np.ndarray, pairs: list[SyntheticPair]) -> None:
    """Writes a sheet of label maps, photos and samples to `variety.png` in the folder of the run."""
    rows = [
        np.concatenate([to_unit_range(pair.label_map), photo, *of], axis=1)
        for pair, photo, of in zip(pairs[:6], truth, outputs, strict=False)
    ]
    pixels = tf.cast(tf.round((np.concatenate(rows).clip(-1, 1) + 1) * 127.5), tf.uint8)
    (workdir / "variety.png").write_bytes(tf.io.encode_png(pixels).numpy())


def main() -> None:
    """Prints a table with a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--count", type=int, default=40)
    options = parser.parse_args()
    print("| run | step | share of the spread | L1 | nearest of 2 | of 4 | of 8 |")
    print("|---|---|---|---|---|---|---|")
    for run in options.runs:
        print(measure(run, options.samples, options.count), flush=True)


if __name__ == "__main__":
    main()
