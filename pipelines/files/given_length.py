"""How many pairs a `tf.data.Dataset` holds that a caller gives."""

import tensorflow as tf

from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.progress import say


def count_pairs(batches: tf.data.Dataset, pairs: tf.data.Dataset, argument: str, is_needed: bool) -> int:
    """Returns the number of pairs of a dataset; batches of unequal sizes are counted.

    Args:
      batches: the dataset as it was given, whose elements are pairs of batches or of images.
      pairs: the same without batches; the same object where it never had any.
      argument: name of the argument that holds it, for messages.
      is_needed: whether the number is needed. If not, a negative number stands for one that is unknown.

    Raises:
      UsageError: for a dataset without an end, and for one of unknown length if that is needed.
    """
    count = int(pairs.cardinality())
    if count == tf.data.INFINITE_CARDINALITY:
        raise UsageError(
            f"`{argument}` has no end: leave out `repeat()`, which a training does itself, or end it with "
            f"`.take(N)`, where N {'pairs' if pairs is batches else 'batches'} are an epoch"
        )
    if count >= 0 or not is_needed:
        return count
    if batches.cardinality() < 0:
        unbatch = "" if pairs is batches else "`.unbatch()` and "
        raise UsageError(
            f"`{argument}` does not tell its length: end it with {unbatch}"
            "`.apply(tf.data.experimental.assert_cardinality(N))`, where N is the number of its pairs"
        )
    # The last batch may be smaller than the others, and TensorFlow does not tell by how much.
    say(
        f"counting the pairs of `{argument}`, which comes in batches; `batch(N, drop_remainder=True)`, or "
        "pairs without batches, need not be counted"
    )
    return sum(len(first) for first, _ in batches.as_numpy_iterator())
