"""A large image through a network in overlapping windows, which are blended: TensorFlow operations only."""

import tensorflow as tf

from tfpix2pix.networks.inference import Generate
from tfpix2pix.networks.noise import hash_bits
from tfpix2pix.pipelines.tasks.transforms import Size, mirror_outwards

# Neighbouring windows overlap by at least one part in so many of their side. There one passes into the other.
OVERLAP_DIVISOR = 4
# Images of more pixels than this go through in windows even if the network was not trained on windows. For so
# many pixels a U-Net of the paper's size takes about 3 GB.
MAX_WHOLE_PIXELS = 2**22
LARGE_WINDOW: Size = (2048, 2048)


def generate_in_tiles(generate: Generate, window: Size) -> Generate:
    """Returns a generator of images of any size that only ever sees windows of one size.

    Each window is normalised by its own statistics and gets its own noise, which depends on the image's noise
    seed and on the window's place alone. Images that are smaller than a window are mirrored outwards to it,
    and the output is cropped back. Where two neighbouring windows overlap, the output passes linearly from
    one to the other.

    Args:
      generate: the network: (input_image [B, H, W, C], noise_seed [B, 2]) -> generated_image.
      window: (height, width) in px.

    Returns:
      A function with the same arguments and result.
    """

    def generate_tiled(input_image: tf.Tensor, noise_seed: tf.Tensor) -> tf.Tensor:
        height, width = tf.unstack(tf.shape(input_image)[1:3])
        image = mirror_outwards(input_image, window)
        return _tile(generate, image, noise_seed, tf.constant(window))[:, :height, :width]

    return generate_tiled


def tile_large_images(generate: Generate) -> Generate:
    """Returns a generator through which images of more than `MAX_WHOLE_PIXELS` go in windows.

    Args:
      generate: the network: (input_image [B, H, W, C], noise_seed [B, 2]) -> generated_image.

    Returns:
      A function with the same arguments and result. Its results for smaller images are those of `generate`,
      bit for bit.
    """

    def generate_any(input_image: tf.Tensor, noise_seed: tf.Tensor) -> tf.Tensor:
        size = tf.shape(input_image)[1:3]
        window = tf.minimum(tf.constant(LARGE_WINDOW), size)
        return tf.cond(
            tf.reduce_prod(tf.cast(size, tf.int64)) > MAX_WHOLE_PIXELS,
            lambda: _tile(generate, input_image, noise_seed, window),
            lambda: generate(input_image, noise_seed),
        )

    return generate_any


def _tile(generate: Generate, image: tf.Tensor, noise_seed: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    """Generates an image in windows, int32 [2], which are at most as large as the image."""
    height, width = tf.unstack(tf.shape(image)[1:3])
    window_height, window_width = tf.unstack(window)
    tops, lefts = _starts(height, window_height), _starts(width, window_width)

    def generate_row(top: tf.Tensor) -> tf.Tensor:
        row = image[:, top : top + window_height]
        # Windows go through one by one, because a network of the paper's size takes much memory for each.
        windows = tf.map_fn(
            lambda left: generate(row[:, :, left : left + window_width], _seed_at(noise_seed, top, left)),
            lefts,
            parallel_iterations=1,
            fn_output_signature=tf.float32,
        )
        return _blend(windows, lefts, width, axis=2)

    rows = tf.map_fn(generate_row, tops, parallel_iterations=1, fn_output_signature=tf.float32)
    return _blend(rows, tops, height, axis=1)


def _seed_at(noise_seed: tf.Tensor, top: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
    """Returns the noise seed of the window at a place: the image's own where that is (0, 0).

    With the same noise in every window, flat areas would repeat with the windows' period.
    """
    first, second = noise_seed[:, 0], noise_seed[:, 1]
    own = [tf.bitcast(hash_bits(first, second, top, left, tf.constant(word)), tf.int32) for word in range(2)]
    # A latent vector that the seeds bring along is the same for all windows of an image.
    seeds, latent = noise_seed[:, :2], noise_seed[:, 2:]
    return tf.concat([tf.where(tf.equal(top + left, 0), seeds, tf.stack(own, axis=1)), latent], axis=1)


def _overlap(window: tf.Tensor) -> tf.Tensor:
    return tf.maximum(1, window // OVERLAP_DIVISOR)


def _starts(length: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    """Returns where windows start along a side, int32 [N]: as few as overlap enough, evenly spread."""
    stride = tf.maximum(1, window - _overlap(window))
    room = length - window
    steps = (room + stride - 1) // stride
    return tf.range(steps + 1) * room // tf.maximum(steps, 1)


def _blend(windows: tf.Tensor, starts: tf.Tensor, length: tf.Tensor, axis: int) -> tf.Tensor:
    """Joins overlapping windows along one axis.

    Args:
      windows: float32 [N, B, H, W, C].
      starts: where each of them starts along the axis, int32 [N].
      length: length of the result along the axis, in px.
      axis: the axis of the result, float32 [B, H, W, C].
    """
    window = tf.shape(windows)[axis + 1]
    places = tf.range(length)
    position = _positions(starts, window, places)
    first = tf.cast(tf.floor(position), tf.int32)
    second = tf.minimum(first + 1, tf.size(starts) - 1)
    share = position - tf.floor(position)
    # The windows are put one behind another along the axis: [B, ..., N * window, ...].
    order = [*range(1, axis + 1), 0, *range(axis + 1, 5)]
    shape = tf.shape(windows)
    joined = tf.reshape(
        tf.transpose(windows, order), tf.concat([shape[1 : axis + 1], [-1], shape[axis + 2 :]], axis=0)
    )

    def take(which: tf.Tensor) -> tf.Tensor:
        # Where a window does not reach, its share is 0.
        inside = tf.clip_by_value(places - tf.gather(starts, which), 0, window - 1)
        return tf.gather(joined, which * window + inside, axis=axis)

    from_first, from_second = take(first), take(second)
    share = tf.reshape(share, [-1 if each == axis else 1 for each in range(4)])
    return from_first + share * (from_second - from_first)


def _positions(starts: tf.Tensor, window: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Returns between which windows each place is, float32: 2.25 is 3/4 of window 2 and 1/4 of window 3."""
    ends, next_starts = tf.cast(starts[:-1] + window, tf.float32), tf.cast(starts[1:], tf.float32)
    ramp = tf.cast(_overlap(window), tf.float32)
    centres = tf.cast(places, tf.float32)[:, None] + 0.5
    passed = tf.clip_by_value((centres - (ends + next_starts) / 2) / ramp + 0.5, 0.0, 1.0)
    return tf.reduce_sum(passed, axis=1)
