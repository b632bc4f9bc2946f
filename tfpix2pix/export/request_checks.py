"""What a servable refuses, with INVALID_ARGUMENT and a sentence, before it decodes: TensorFlow operations."""

import tensorflow as tf

from tfpix2pix.networks.inference import OVERSHOOT
from tfpix2pix.pipelines.files.image_files import BGR_MASKS, GRAY_PALETTE

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = (1, 0, 3, 3, 2, 0, 4)  # by colour type; 0: there is no such type
# What a decoder skips by its length: tables, application data, comments. Others
# have no length, so a decoder would go on elsewhere than this scan.
_JPEG_SEGMENTS = (0xC4, 0xCC, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0))
# Start of frame, any coding.
_JPEG_FRAMES = tuple(set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC})
# The largest profile and preview that files carry take some 300, of 64 KiB.
_MAX_SEGMENTS = 1000

# found, height, width, channels, bits of a channel.
Header = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]


def check_file(
    contents: tf.Tensor, place: tf.Tensor, channels: int, max_pixels: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Refuses what is no image, and one that would be too large decoded; reads only its header.

    Args:
      contents: scalar string.
      place: integer scalar, of the file in its request, for the message.
      channels: of the picture; a file with alpha must bring 2 itself, other counts are converted.
      max_pixels: most pixels of an image.

    Returns:
      `contents`, to be decoded from this tensor, and whether its channels have 16 bits.
    """
    found, height, width, given_channels, bits = read_header(contents)
    size = tf.strings.join([tf.strings.as_string(width), "x", tf.strings.as_string(height)])
    problem = _first_problem(
        (tf.equal(tf.strings.length(contents), 0), "is empty (0 bytes)"),
        (~found, "is no JPEG, PNG or BMP image that can be read"),
        ((height < 1) | (width < 1), tf.strings.join(["has no pixels: ", size])),
        (
            # Each alone too, as the product of two numbers of 32 bits may not fit.
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
    """Refuses a batch of another shape, too large, or of floats that are not in [-1, 1].

    Args:
      images: [B, H, W, C]. Servers do not hold requests to a signature's shape, so
        the shape is looked at when the request is there.
      channels: expected.
      max_pixels: most pixels of an image.

    Returns:
      `images`, to be worked with.
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
        # Of NaN too.
        outside = ~tf.reduce_all(tf.abs(images) <= 1 + OVERSHOOT)
        images = _refuse(images, _first_problem((outside, "must be in [-1, 1]")), "input_image ")
    return images


def check_seeds(noise_seed: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Refuses seeds that are not one for each image; returns them."""
    shape = tf.shape(noise_seed)
    fits = tf.reduce_all(tf.equal(shape, tf.stack([count, 2])))
    received = tf.strings.format(
        "must be [{}, 2], two numbers for each image. Received: shape {}", [count, shape]
    )
    return _refuse(noise_seed, _first_problem((~fits, received)), "noise_seed ")


def read_header(contents: tf.Tensor) -> Header:
    """Reads what a file says of itself, as `pipelines/files/image_files.py` does, in a graph.

    Args:
      contents: scalar string.

    Returns:
      Whether there is such a header; height and width in px, channels, and bits of a
      channel, int64. Where there is none, the numbers mean nothing.
    """
    start = _read_bytes(contents, 0, 34)
    is_png = tf.equal(tf.strings.substr(contents, 0, 8), _PNG_START)
    is_jpeg = tf.equal(tf.strings.substr(contents, 0, 3), b"\xff\xd8\xff")
    is_bmp = tf.equal(tf.strings.substr(contents, 0, 2), b"BM")
    nothing = tf.constant(0, tf.int64)
    return tf.case(
        [
            (is_png, lambda: _png_header(contents, start)),
            (is_jpeg, lambda: _jpeg_header(contents)),
            (is_bmp, lambda: _bmp_header(contents, start)),
        ],
        default=lambda: (tf.constant(False), nothing, nothing, nothing, nothing),
    )


def _png_header(contents: tf.Tensor, start: tf.Tensor) -> Header:
    colour_type = start[25]
    channels = tf.gather(tf.constant(_PNG_CHANNELS, tf.int64), tf.minimum(colour_type, 6))
    found = tf.equal(tf.strings.substr(contents, 8, 8), b"\0\0\0\rIHDR") & (tf.strings.length(contents) > 33)
    found &= (channels > 0) & (colour_type <= 6)
    return found, _number(start[20:24]), _number(start[16:20]), channels, start[24]


def _jpeg_header(contents: tf.Tensor) -> Header:
    place = _find_jpeg_frame(contents)
    frame = _read_bytes(contents, tf.abs(place), 10)
    return place > 0, _number(frame[5:7]), _number(frame[7:9]), frame[9], frame[4]


def _find_jpeg_frame(contents: tf.Tensor) -> tf.Tensor:
    """Returns where the start of frame is, int64; negative where a decoder would look for it elsewhere."""

    def is_frame(place: tf.Tensor) -> tf.Tensor:
        start = _read_bytes(contents, place, 2)
        return tf.equal(start[0], 0xFF) & _is_one_of(start[1], _JPEG_FRAMES)

    def skip_segment(place: tf.Tensor) -> tuple[tf.Tensor]:
        start = _read_bytes(contents, place, 4)
        length = _number(start[2:])
        skipped = tf.case(
            [
                (tf.not_equal(start[0], 0xFF), lambda: -place),
                # A marker may be padded with more FF bytes.
                (tf.equal(start[1], 0xFF), lambda: place + 1),
                (_is_one_of(start[1], _JPEG_SEGMENTS) & (length >= 2), lambda: place + 2 + length),
            ],
            default=lambda: -place,
        )
        return (skipped,)

    (place,) = tf.while_loop(
        lambda place: (place > 0) & ~is_frame(tf.abs(place)),
        skip_segment,
        (tf.constant(2, tf.int64),),
        maximum_iterations=_MAX_SEGMENTS,
    )
    return tf.where(is_frame(tf.abs(place)), place, -tf.abs(place))


def _bmp_header(contents: tf.Tensor, start: tf.Tensor) -> Header:
    header_bytes, width, height, compression = (
        _number(start[place : place + 4][::-1]) for place in (14, 18, 22, 30)
    )
    bits = _number(start[28:30][::-1])
    is_gray = tf.equal(bits, 8) & tf.equal(compression, 0)
    is_gray &= tf.equal(_substring(contents, 14 + header_bytes, 1024), GRAY_PALETTE)
    is_plain = tf.equal(bits, 24) | tf.equal(bits, 32)
    is_plain &= tf.equal(compression, 0) | (
        tf.equal(compression, 3) & tf.equal(_substring(contents, 54, 12), BGR_MASKS)
    )
    found = (header_bytes >= 40) & (is_gray | is_plain) & (tf.strings.length(contents) > 54)
    # A negative height: from top to bottom.
    height = tf.where(height < 2**31, height, 2**32 - height)
    one, three, eight = tf.unstack(tf.constant([1, 3, 8], tf.int64))
    return found, height, width, tf.where(is_gray, one, three), eight


def _substring(contents: tf.Tensor, place: tf.Tensor | int, count: int) -> tf.Tensor:
    length = tf.cast(tf.strings.length(contents), tf.int64)
    return tf.strings.substr(
        contents, tf.minimum(tf.cast(place, tf.int64), length), tf.constant(count, tf.int64)
    )


def _read_bytes(contents: tf.Tensor, place: tf.Tensor | int, count: int) -> tf.Tensor:
    """Returns int64 [count]; zeros behind the end."""
    part = _substring(contents, place, count)
    return tf.cast(tf.io.decode_raw(part, tf.uint8, fixed_length=count), tf.int64)


def _number(digits: tf.Tensor) -> tf.Tensor:
    """Returns the number that bytes are, the highest first."""
    count = digits.shape[0]
    return tf.reduce_sum(digits * tf.constant([256 ** (count - 1 - i) for i in range(count)], tf.int64))


def _is_one_of(value: tf.Tensor, values: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(tf.equal(value, tf.constant(values, tf.int64)))


def _first_problem(*problems: tuple[tf.Tensor, tf.Tensor | str]) -> tf.Tensor:
    """Returns the text of the first that holds, or none."""
    first = tf.constant("")
    for holds, text in reversed(problems):
        first = tf.where(holds, text, first)
    return first


def _refuse(value: tf.Tensor, problem: tf.Tensor, name: tf.Tensor | str) -> tf.Tensor:
    """Returns `value`, of which nothing can be made where there is a problem."""
    with tf.control_dependencies([tf.debugging.Assert(tf.equal(problem, ""), [name + problem])]):
        return tf.identity(value)
