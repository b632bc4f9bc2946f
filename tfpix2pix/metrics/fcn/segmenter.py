"""How a segmentation network is opened, whether `metrics.fcn` has trained it or it is any Keras model."""

from pathlib import Path

import keras
import tensorflow as tf

from tfpix2pix.metrics.fcn.config import PALETTE_FILE, check_segmenter, read_run
from tfpix2pix.metrics.fcn.network import build_network
from tfpix2pix.metrics.fcn.step import PREFIX
from tfpix2pix.metrics.segmentation_scores import MOST_CLASSES
from tfpix2pix.pipelines.base.errors import UsageError, UserError, shorten
from tfpix2pix.pipelines.labels.palettes import Palette, find_palette
from tfpix2pix.run import checkpoints

CONTRACT = (
    "a segmenter takes float32 images [B, H, W, 3] in [-1, 1] and returns the scores of 2 to "
    f"{MOST_CLASSES} classes, [B, h, w, K]"
)


class KerasSegmenter:
    """A segmentation network as a function of images.

    Args:
      network: a model: images, float32 [B, H, W, 3] in [-1, 1] -> scores, float
        [B, h, w, K]. If it takes images of one size only, they are resized for it, and
        its scores are resized to the size of the images, both bilinearly.
      title: what messages call it.
      palette: names and colours of its classes; None if they are not known.

    Attributes:
      network: the model.
      num_classes: number of its classes.
      title: the same.
      palette: the same.

    Raises:
      UserError: if the network has other inputs or outputs.
    """

    def __init__(self, network: keras.Model, title: str, palette: Palette | None = None):
        inputs, outputs = network.inputs, network.outputs
        shapes = [tuple(tensor.shape) for tensor in (*inputs, *outputs)]
        is_one_to_one = len(inputs) == len(outputs) == 1 and all(len(shape) == 4 for shape in shapes)
        if not is_one_to_one or shapes[0][3] != 3 or not 2 <= (shapes[1][3] or 0) <= MOST_CLASSES:
            found = f"{shapes[: len(inputs)]} -> {shapes[len(inputs) :]}"
            raise UserError(f"{title} is not a segmenter: {CONTRACT}. Received: {found}")
        self.num_classes: int = shapes[1][3]
        self.title = title
        self.palette = palette
        self.network = network
        self._input_size = shapes[0][1:3]
        self._segment = tf.function(self._find_classes, reduce_retracing=True, autograph=False)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the class of every pixel.

        Args:
          images: float32 [B, H, W, 3] in [-1, 1].

        Returns:
          uint8 [B, H, W].
        """
        return self._segment(tf.convert_to_tensor(images, tf.float32))

    def _find_classes(self, images: tf.Tensor) -> tf.Tensor:
        size = tf.shape(images)[1:3]
        wanted = [fixed or size[axis] for axis, fixed in enumerate(self._input_size)]
        scores = self.network(tf.image.resize(images, wanted), training=False)
        if isinstance(scores, list | tuple):
            scores = scores[0]
        scores = tf.image.resize(tf.cast(scores, tf.float32), size)
        return tf.cast(tf.argmax(scores, -1, tf.int32), tf.uint8)


def load_segmenter(path: str | Path) -> KerasSegmenter:
    """Opens a segmentation network.

    Args:
      path: folder of a run of `python -m tfpix2pix.metrics.fcn`, whose best checkpoint is
        taken, or the latest one if no validation has run; or a .keras or .h5 file of a
        Keras model: images, float32 [B, H, W, 3] in [-1, 1] -> scores [B, h, w, K].

    Returns:
      A function of images, which has `num_classes`, `title` and `palette`.

    Raises:
      UsageError: if there is no such network.
      UserError: if it cannot be read, or is not a segmentation network.
    """
    path = Path(path)
    check_segmenter(path)
    if path.is_dir():
        return _open_run(path)
    try:
        network = keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises various errors for files that it cannot read.
        raise UserError(f"{path} cannot be read as a Keras model: {shorten(error)}") from error
    return KerasSegmenter(network, path.name)


def _open_run(folder: Path) -> KerasSegmenter:
    config = read_run(folder)
    palette = find_palette(str(folder / PALETTE_FILE))
    try:
        step = checkpoints.find_step(folder, "best")
    except UsageError:
        step = checkpoints.find_step(folder, "latest")
    network = build_network(config, len(palette))
    checkpoints.restore_model(folder, step, PREFIX, network)
    return KerasSegmenter(network, f"FCN-8s {folder.name}, step {step}", palette)
