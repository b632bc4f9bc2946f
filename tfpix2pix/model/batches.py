"""What `fit`, `evaluate` and `predict` take, as the batches that a training step reads."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.methods.step import Batch
from tfpix2pix.networks.inference import sample_seed
from tfpix2pix.networks.noise import hash_bits
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.files.value_warnings import LOOKED_AT, warn_of_values

_FORMS = "a pair (x, y) of images, or a dictionary with input_image and target_image"


def read_inputs(inputs: Any, seed: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the input image, float32 [B, H, W, C], and the noise seed of each example, int32 [B, 2].

    Args:
      inputs: the image alone, (image, noise seeds), or a dictionary with `input_image` and perhaps
        `noise_seed`.
      seed: without noise seeds every image gets this one.

    Raises:
      UsageError: for anything else.
    """
    if isinstance(inputs, dict):
        if "input_image" not in inputs:
            raise UsageError(f"a batch must be {_FORMS}. Received: a dictionary with {', '.join(inputs)}")
        image, noise_seed = inputs["input_image"], inputs.get("noise_seed")
    elif isinstance(inputs, list | tuple):
        image, noise_seed = inputs if len(inputs) == 2 else (*inputs, None)
    else:
        image, noise_seed = inputs, None
    image = _read_image(image, "input image")
    if noise_seed is None:
        noise_seed = tf.tile(sample_seed(seed)[None], [tf.shape(image)[0], 1])
    return image, tf.cast(noise_seed, tf.int32)


def read_in_memory(inputs: Any, seed: int) -> list[np.ndarray]:
    """Returns what `read_inputs` does, as arrays, which `predict` takes with latent vectors."""
    if isinstance(inputs, tf.data.Dataset):
        raise UsageError("`latent` is for images in memory. Received: a dataset")
    return [tensor.numpy() for tensor in read_inputs(inputs, seed)]


def read_batch(data: Any, seed: int, step: tf.Tensor | None = None) -> Batch:
    """Returns the batch that a training step reads, in replica context.

    Args:
      data: what Keras hands to `train_step`: (x, y), (x,) or x.
      seed: number from which the noise follows, where the data has no `noise_seed`.
      step: in training, the number of steps taken, so that the noise differs from step to step.

    Raises:
      UsageError: for data of another form, or with weights of samples.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if sample_weight is not None:
        raise UsageError("weights of samples are not supported: the losses weigh all pairs the same")
    target = x.get("target_image", y) if isinstance(x, dict) else y
    if target is None:
        raise UsageError(f"a batch must be {_FORMS}. Received: no target image")
    has_seed = "noise_seed" in x if isinstance(x, dict) else isinstance(x, list | tuple) and len(x) == 2
    input_image, noise_seed = read_inputs(x, seed)
    if step is not None and not has_seed:
        noise_seed = _draw_seeds(tf.shape(input_image)[0], seed, step)
    return {
        "input_image": input_image,
        "target_image": _read_image(target, "target image"),
        "noise_seed": noise_seed,
    }


def with_channels(batch: Batch, generator: keras.Model) -> Batch:
    """Returns a batch whose channels are known: Keras 2 does not know the shapes of a `PyDataset`."""
    channels = {"input_image": generator.inputs[0], "target_image": generator.outputs[0]}
    for name, like in channels.items():
        if batch[name].shape[-1] is None:
            batch[name] = tf.ensure_shape(batch[name], [None, None, None, like.shape[-1]])
    return batch


def check_ranks(x: Any, y: Any = None) -> None:
    """Raises UsageError for images without batches, before Keras forgets how many axes they have.

    Args:
      x: what `fit` takes, if it tells its shape.
      y: the targets, where `x` is an array.
    """
    if isinstance(x, tf.data.Dataset):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(x.element_spec)
    if isinstance(x, dict):
        x, y = x.get("input_image"), x.get("target_image", y)
    elif isinstance(x, list | tuple) and x:
        x = x[0]
    for title, images in (("input image", x), ("target image", y)):
        shape = tf.TensorShape(getattr(images, "shape", None))
        if shape.rank not in (4, None):
            raise _explain(title, images.dtype, shape)


def warn_of_ranges(x: Any, y: Any = None) -> Any:
    """Warns of images that are not in [-1, 1], by a look at the first of them.

    Args:
      x: what `fit` takes.
      y: the targets, where `x` is an array.

    Returns:
      What to take in place of `x`: a dataset is looked at when its first batch is made, because one that was
      made before would be lost, where the dataset cannot begin anew, or made twice.
    """
    if isinstance(x, tf.data.Dataset):
        return _warn_at_first(x)
    is_sequence = isinstance(x, getattr(keras.utils, "PyDataset", keras.utils.Sequence))
    for title, images in _list_sides(x[0] if is_sequence else (x, y)).items():
        looked_at = np.asarray(images[:LOOKED_AT])
        if looked_at.dtype.kind == "f":
            warn_of_values(title, list(looked_at))
    return x


def _warn_at_first(dataset: tf.data.Dataset) -> tf.data.Dataset:
    is_due = [True]

    @tf.autograph.experimental.do_not_convert
    def look(number: tf.Tensor, batch: Any) -> Any:
        listed = _list_sides(batch).items()
        sides = {title: each for title, each in listed if tf.is_tensor(each) and each.dtype.is_floating}

        def warn_once(*images: np.ndarray) -> np.int32:
            if is_due:
                is_due.clear()  # The next epoch begins anew.
                for title, looked_at in zip(sides, images, strict=True):
                    warn_of_values(title, list(looked_at))
            return np.int32(0)

        looked_at = [tf.cast(images[:LOOKED_AT], tf.float32) for images in sides.values()]
        tf.cond(
            tf.equal(number, 0),
            lambda: tf.numpy_function(warn_once, looked_at, tf.int32),
            lambda: tf.constant(0),
        )
        return batch

    return dataset.enumerate().map(look)


def _list_sides(batch: Any) -> dict[str, Any]:
    """Returns the images of a batch by what messages call them."""
    x: Any
    x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
    if isinstance(x, dict):
        x, y = x.get("input_image"), x.get("target_image", y)
    elif isinstance(x, list | tuple):
        x = x[0]
    sides = {"the input images": x, "the target images": y}
    return {title: images for title, images in sides.items() if hasattr(images, "shape")}


def without_texts(data: Any) -> Any:
    """Returns a dataset of dictionaries without their texts, which XLA cannot take; other data as it is."""
    spec = data.element_spec if isinstance(data, tf.data.Dataset) else None
    if not isinstance(spec, dict) or not any(each.dtype == tf.string for each in spec.values()):
        return data
    kept = [name for name, each in spec.items() if each.dtype != tf.string]
    return data.map(lambda batch: {name: batch[name] for name in kept})


def _read_image(image: Any, title: str) -> tf.Tensor:
    image = tf.convert_to_tensor(image)
    if not image.dtype.is_floating or image.shape.rank not in (4, None):
        raise _explain(title, image.dtype, image.shape)
    return tf.cast(image, tf.float32)


def _explain(title: str, dtype: Any, shape: tf.TensorShape) -> UsageError:
    return UsageError(
        f"the {title} must be floats [B, H, W, C] in [-1, 1]: make bytes `image / 127.5 - 1`. "
        f"Received: {tf.as_dtype(dtype).name} {'of unknown shape' if shape.rank is None else shape.as_list()}"
    )


def _draw_seeds(count: tf.Tensor, seed: int, step: tf.Tensor) -> tf.Tensor:
    """Returns a seed for each example of a replica's batch, int32 [count, 2], as a function of its place."""
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    drawn = hash_bits(tf.cast(step, tf.int32), tf.cast(replica, tf.int32), tf.range(count))
    first = tf.fill([count], sample_seed(seed)[0])
    return tf.stack([first, tf.bitcast(drawn, tf.int32)], axis=1)
