"""Contestants that make training batches: this package's pipeline, and that of TensorFlow's pix2pix tutorial.

Both read the side-by-side JPEG files in FOLDER/train, resize them to 286x286, crop a random window of
256x256, mirror half of the pairs, and yield batches of one pair. A call makes the batches of one epoch. Two
more do a part of that in the shortest way, which is the limit of any pipeline of these operations.

    python -m benchmarks.feeds WHAT FOLDER
"""

import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from benchmarks.contestant import answer
from tfpix2pix.pipelines import batches as pairs
from tfpix2pix.pipelines.batches import build_dataset
from tfpix2pix.pipelines.files import sources

IMAGE_PX = 256
LOAD_PX = 286
WARM_UPS = 2
CACHE_MIB = 2048


def build_ours(folder: Path, keep_resized: bool = True, cache_mib: int = CACHE_MIB) -> tf.data.Dataset:
    """Returns the pipeline that `train` builds for the facades."""
    source = sources.open_source(folder, "train", "BtoA", cache_mib=cache_mib)
    if keep_resized:
        source = pairs.keep_resized(source, (LOAD_PX, LOAD_PX), cache_mib)
    return build_dataset(
        source,
        image_size=(IMAGE_PX, IMAGE_PX),
        load_size=(LOAD_PX, LOAD_PX),
        mirror=True,
        batch_size=1,
        training=True,
    )


def build_tutorial(folder: Path) -> tf.data.Dataset:
    """Returns the tutorial's pipeline; each epoch decodes, resizes to the nearest pixel, and shuffles.

    Source: https://www.tensorflow.org/tutorials/generative/pix2pix, written anew.
    """
    files = [str(file) for file in _list_files(folder)]

    def make_example(file: tf.Tensor) -> dict[str, tf.Tensor]:
        both = tf.io.decode_jpeg(tf.io.read_file(file))
        width = tf.shape(both)[1] // 2
        size, nearest = [LOAD_PX, LOAD_PX], tf.image.ResizeMethod.NEAREST_NEIGHBOR
        images = [tf.cast(half, tf.float32) for half in (both[:, width:], both[:, :width])]
        images = [tf.image.resize(image, size, nearest) for image in images]
        images = tf.unstack(tf.image.random_crop(tf.stack(images), [2, IMAGE_PX, IMAGE_PX, 3]))
        flip = tf.random.uniform([]) > 0.5
        images = tf.cond(flip, lambda: [tf.image.flip_left_right(each) for each in images], lambda: images)
        return {"input_image": images[0] / 127.5 - 1, "target_image": images[1] / 127.5 - 1}

    examples = tf.data.Dataset.list_files(files).map(make_example, tf.data.AUTOTUNE)
    return examples.shuffle(len(files)).batch(1).repeat()


def build_limit(folder: Path, resizes: bool) -> tf.data.Dataset:
    """Returns a pipeline that reads and decodes the files, perhaps resizes both images, and nothing else."""
    files = [str(file) for file in _list_files(folder)]

    def make_example(file: tf.Tensor) -> dict[str, tf.Tensor]:
        both = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
        halves = tf.stack(tf.split(both, 2, axis=1))
        if resizes:
            halves = tf.image.resize(halves, [LOAD_PX, LOAD_PX], tf.image.ResizeMethod.BILINEAR)
        return {"input_image": tf.cast(halves[:1, :1, :1], tf.float32)}

    examples = tf.data.Dataset.from_tensor_slices(files).repeat().map(make_example, tf.data.AUTOTUNE)
    return examples.prefetch(tf.data.AUTOTUNE)


def make_epochs(dataset: tf.data.Dataset, num_images: int) -> Callable[[], object]:
    """Returns a function that takes the batches of an epoch inside a graph, as training steps do."""
    batches = iter(dataset)

    @tf.function
    def take(count: tf.Tensor) -> tf.Tensor:
        total = tf.constant(0.0)
        for _ in tf.range(count):
            # Something of each batch must be used, or it would not be made.
            total += next(batches)["input_image"][0, 0, 0, 0]
        return total

    return lambda: take(tf.constant(num_images)).numpy()


def _list_files(folder: Path) -> list[Path]:
    return sorted((folder / "train").glob("*.jpg"))


BUILDERS: dict[str, Callable[[Path], tf.data.Dataset]] = {
    "ours": build_ours,
    "ours_decoded": functools.partial(build_ours, keep_resized=False),
    "ours_files": functools.partial(build_ours, keep_resized=False, cache_mib=0),
    "tutorial": build_tutorial,
    "decoding": functools.partial(build_limit, resizes=False),
    "resizing": functools.partial(build_limit, resizes=True),
}


def main(what: str, folder: Path) -> None:
    """Takes the turns of the contestant `what`."""
    num_images = len(_list_files(folder))
    make_epoch = make_epochs(BUILDERS[what](folder), num_images)
    cpu_sec: list[float] = []

    def call() -> None:
        start = time.process_time()
        make_epoch()
        cpu_sec.append(time.process_time() - start)

    answer(call, WARM_UPS, cpu_sec=cpu_sec, images=num_images)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
