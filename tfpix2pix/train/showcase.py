"""Shows what a training has reached: its scores beside those of trivial baselines, and a contact sheet."""

from pathlib import Path

import keras
import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.pictures.examples import show_examples, show_image
from tfpix2pix.pictures.sheets import contact_sheet, write_png
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.run.splits import open_split
from tfpix2pix.train.validation import compute_validation_scores

MODEL = "pix2pix"
BASELINES = ("mean training photo", "input itself")


def score_beside_baselines(generator: keras.Model, config: Config) -> dict[str, dict[str, float]]:
    """Scores a generator and two trivial baselines on the validation split.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`, of as many channels as its input.
      config: names the dataset.

    Returns:
      `MODEL` and each of `BASELINES` -> the scores that `compute_validation_scores` returns: those of the
      generator, of the mean target image of the training split, and of the input image.
    """
    mean_photo = compute_mean_photo(config)
    source = open_split(config, "val")
    translators = {
        MODEL: generator,
        BASELINES[0]: lambda inputs, training: tf.zeros_like(inputs[0]) + mean_photo,
        BASELINES[1]: lambda inputs, training: inputs[0],
    }
    return {
        name: compute_validation_scores(translate, source, config.image_size, config.seed)
        for name, translate in translators.items()
    }


def compute_mean_photo(config: Config) -> tf.Tensor:
    """Returns the mean target image of the training split, float32 [H, W, C] in [-1, 1]."""
    training = build_dataset(
        open_split(config, "train"), image_size=config.image_size, batch_size=1, training=False
    )
    total, count = 0.0, 0
    for batch in training:
        total, count = total + batch["target_image"][0], count + 1
    return total / count


def write_contact_sheet(generator: keras.Model, config: Config, file: Path, examples: int) -> None:
    """Writes a PNG file of the first validation examples, a row for each.

    The columns are the input, the mean training photo, which is the same in all rows, the generated
    image and the target.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`.
      config: names the dataset.
      file: where the sheet is written.
      examples: number of examples.
    """
    source = open_split(config, "val")
    dataset = build_dataset(
        source, image_size=config.image_size, batch_size=examples, training=False, seed=config.seed
    )
    batch = next(iter(dataset))
    generated_image = generator([batch["input_image"], batch["noise_seed"]], training=False)
    shown = show_examples(source.task, batch, generated_image)
    mean_photos = show_image(tf.zeros_like(batch["target_image"]) + compute_mean_photo(config))
    columns = {
        "input": shown.input,
        BASELINES[0]: mean_photos,
        "generated": shown.generated,
        "target": shown.target,
    }
    write_png(file, contact_sheet(list(columns.values()), list(columns)))
