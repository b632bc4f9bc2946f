"""Refuses bad requests to a servable before they are decoded, with INVALID_ARGUMENT and a sentence.

The functions use TensorFlow operations only, because they are part of the SavedModel.
"""

import tensorflow as tf

from tfpix2pix.networks.inference import OVERSHOOT
from tfpix2pix.pipelines.files.headers_in_graph import parse_header_in_graph


def check_file(
    contents: tf.Tensor, place: tf.Tensor, channels: int, max_pixels: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Refuses a file that is no image, or whose image would be too large; it reads only the header.

    Args:
      contents: scalar string, the bytes of the file.
      place: integer scalar, the place of the file in its request, for the message.
      channels: channels of the picture. With 2 the file must have gray and alpha itself; with any other
        number it is converted.
      max_pixels: the largest number of pixels of an image.

    Returns:
      `contents`, as a tensor that exists only if the checks pass, and whether its channels have 16 bits.
    """
    unread, height, width, given_channels, bits = parse_header_in_graph(contents)
    size = tf.strings.join([tf.strings.as_string(width), "x", tf.strings.as_string(height)])
    problem = _first_problem(
        (tf.equal(tf.strings.length(contents), 0), "is empty (0 bytes)"),
        (tf.not_equal(unread, ""), unread),
        ((height < 1) | (width < 1), tf.strings.join(["has no pixels: ", size])),
        (
            # Each side is checked too, because the product of two numbers of 32 bits may overflow.
            (height > max_pixels) | (width > max_pixels) | (height * width > max_pixels),
            tf.strings.join(["has ", size, f" px, more than the {max_pixels} px allowed"]),
        ),
        (
            (channels == 2) & (given_channels != 2),
            tf.strings.join(
                ["has ", tf.strings.as_string(given_channels), " channels; expected 2, gray and alpha"]
            ),
        ),
    )
    name = tf.strings.join(["image_bytes[", tf.strings.as_string(place), "] "])
    return _refuse(contents, problem, name), tf.equal(bits, 16)


def check_images(images: tf.Tensor, channels: int, max_pixels: int) -> tf.Tensor:
    """Refuses a batch of another shape, of images that are too large, or of floats that are not in [-1, 1].

    Args:
      images: [B, H, W, C]. Servers do not hold requests to the shape of a signature, so the shape is
        checked for each request.
      channels: the number of channels that is expected.
      max_pixels: the largest number of pixels of an image.

    Returns:
      `images`, as a tensor that exists only if the checks pass.
    """
    shape = tf.shape(images, out_type=tf.int64)
    expected = f"must be [B, H, W, {channels}] with at least 1 image and 1 px"
    problem = _first_problem(
        (tf.reduce_any(shape < 1) | (shape[3] != channels), expected),
        (shape[1] * shape[2] > max_pixels, f"must have at most {max_pixels} px an image"),
    )
    received = tf.strings.format(". Received: shape {}", shape, summarize=-1)
    problem = tf.where(tf.equal(problem, ""), problem, problem + received)
    images = _refuse(images, problem, "input_image ")
    if images.dtype.is_floating:
        # This is true for NaN too.
        outside = ~tf.reduce_all(tf.abs(images) <= 1 + OVERSHOOT)
        images = _refuse(images, _first_problem((outside, "must be in [-1, 1]")), "input_image ")
    return images


def check_instance_ids(instance_ids: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """Refuses ids of instances that are not from 0 to 65,535, or not one for each pixel; returns them.

    Args:
      instance_ids: int32 [B, H, W].
      shape: B, H and W of the images, int32 [3].
    """
    received = tf.shape(instance_ids)
    problem = _first_problem(
        (
            tf.reduce_any(received != shape),
            tf.strings.format("must be {}, one for each pixel. Received: shape {}", [shape, received]),
        ),
        (tf.reduce_any((instance_ids < 0) | (instance_ids > 65535)), "must be from 0 to 65535"),
    )
    return _refuse(instance_ids, problem, "instance_ids ")


def check_instance_file(contents: tf.Tensor, place: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Refuses a file that is no map of instances, or has another size than its image; returns its bytes.

    Args:
      contents: scalar string, the bytes of the file.
      place: integer scalar, the place of the file in its request, for the message.
      size: (height, width) of the image in px, int32 [2].
    """
    unread, height, width, channels, _ = parse_header_in_graph(contents)
    received = tf.stack([height, width])
    problem = _first_problem(
        (tf.not_equal(unread, ""), unread),
        (channels > 2, "has colours; expected a map of instances, of one channel"),
        (
            tf.reduce_any(received != tf.cast(size, received.dtype)),
            tf.strings.format("has {} rows and columns, and its image has {}", [received, size]),
        ),
    )
    name = tf.strings.join(["instance_bytes[", tf.strings.as_string(place), "] "])
    return _refuse(contents, problem, name)


def check_seeds(noise_seed: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Refuses seeds unless there is one for each image; returns them."""
    shape = tf.shape(noise_seed)
    fits = tf.reduce_all(tf.equal(shape, tf.stack([count, 2])))
    received = tf.strings.format(
        "must be [{}, 2], two numbers for each image. Received: shape {}", [count, shape]
    )
    return _refuse(noise_seed, _first_problem((~fits, received)), "noise_seed ")


def check_latents(latent: tf.Tensor, count: tf.Tensor, size: int) -> tf.Tensor:
    """Refuses latent vectors unless there is one of finite numbers for each image; returns them."""
    shape = tf.shape(latent)
    received = tf.strings.format(
        f"must be [{{}}, {size}], {size} numbers for each image. Received: shape {{}}", [count, shape]
    )
    problem = _first_problem(
        (~tf.reduce_all(tf.equal(shape, tf.stack([count, size]))), received),
        (~tf.reduce_all(tf.math.is_finite(latent)), "must be finite"),
    )
    return _refuse(latent, problem, "latent ")


def _first_problem(*problems: tuple[tf.Tensor, tf.Tensor | str]) -> tf.Tensor:
    """Returns the text of the first problem that is there; an empty text if there is none."""
    first = tf.constant("")
    for holds, text in reversed(problems):
        first = tf.where(holds, text, first)
    return first


def _refuse(value: tf.Tensor, problem: tf.Tensor, name: tf.Tensor | str) -> tf.Tensor:
    """Returns `value`, as a tensor that cannot be computed where there is a problem."""
    with tf.control_dependencies([tf.debugging.Assert(tf.equal(problem, ""), [name + problem])]):
        return tf.identity(value)
