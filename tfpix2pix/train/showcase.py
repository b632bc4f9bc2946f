"""Shows what a training has reached: its scores beside those of trivial baselines, and a contact sheet."""

from pathlib import Path

import keras
import tensorflow as tf

from tfpix2pix.config.config import Config
from tfpix2pix.metrics.baseline import compute_mean_target
from tfpix2pix.pictures.examples import show_examples, show_image
from tfpix2pix.pictures.sheets import contact_sheet, write_png
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.run.splits import open_split
from tfpix2pix.train.validation import compute_validation_scores, cut_middle

MODEL = "pix2pix"
BASELINES = ("mean training photo", "input itself")


class Showcase:
    """A generator beside two trivial baselines, on the validation split.

    The split is opened once, and so is the training split, for its mean target image.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`, of as many channels as its input.
      config: names the dataset, and tells whether its images are resized.
    """

    def __init__(self, generator: keras.Model, config: Config):
        self._generator, self._config = generator, config
        self._mean_photo = compute_mean_target(config, most_examples=None)
        self._source = open_split(config, "val")

    def score(self) -> dict[str, dict[str, float]]:
        """Scores the generator and the baselines.

        Returns:
          `MODEL` and each of `BASELINES` -> the scores that `compute_validation_scores` returns: those of
          the generator, of the mean target image of the training split, and of the input image.
        """
        config = self._config
        translators = {
            MODEL: self._generator,
            BASELINES[0]: lambda inputs, training: tf.zeros_like(inputs[0]) + self._mean_photo,
            BASELINES[1]: lambda inputs, training: inputs[0],
        }
        return {
            name: compute_validation_scores(
                translate, self._source, config.image_size, config.seed, resize=config.resizes
            )
            for name, translate in translators.items()
        }

    def write_contact_sheet(self, file: Path, examples: int) -> None:
        """Writes a PNG file of the first validation examples, a row for each.

        The columns are the input, the mean training photo, which is the same in all rows, the generated
        image and the target. Of images that are not resized, the middle is shown.

        Args:
          file: where the sheet is written.
          examples: number of examples.
        """
        config, source = self._config, self._source
        dataset = build_dataset(
            source,
            image_size=config.image_size,
            batch_size=1,
            training=False,
            seed=config.seed,
            resize=config.resizes,
        )
        rows = []
        for example in dataset.take(examples):
            batch = example if config.resizes else cut_middle(example, config.image_size)
            generated_image = self._generator([batch["input_image"], batch["noise_seed"]], training=False)
            shown = show_examples(source.task, batch, generated_image)
            mean_photo = show_image(tf.zeros_like(batch["target_image"]) + self._mean_photo)
            rows.append((shown.input, mean_photo, shown.generated, shown.target))
        columns = [tf.concat(column, 0) for column in zip(*rows, strict=True)]
        write_png(file, contact_sheet(columns, ["input", BASELINES[0], "generated", "target"]))
