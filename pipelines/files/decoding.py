"""Image files that TensorFlow decodes, in a graph too, so that a servable reads what training reads."""

import functools
from collections.abc import Callable

import tensorflow as tf

from tfpix2pix.pipelines.files.headers_in_graph import (
    bmp_has_alpha,
    cut_bmp,
    cut_jpeg_frame,
    find_orientation_in_graph,
    has_too_many_scans,
    png_has_transparency,
)
from tfpix2pix.pipelines.files.image_headers import (
    BMP_START,
    JPEG_SCAN,
    JPEG_START,
    MAX_JPEG_SCANS,
    PNG_START,
)
from tfpix2pix.pipelines.files.number_arrays import LUMA_BITS, LUMA_ROUNDING, LUMA_WEIGHTS, Pixels
from tfpix2pix.pipelines.files.orientation import turn_in_graph

# The place of the bits of a channel in a PNG file.
_PNG_BITS_AT = 24
# The table of the JPEG standard for the codes of brightness, with which zeros stand for noise that no
# picture has; and zeros behind it. Tables that were made for a picture may have zeros for flat parts.
_STANDARD_TABLE = bytes.fromhex("0002010303020403050504040000017d010203000411")
_ZEROS = bytes(64)
_ZEROED = rb"\C*%b\C*\x00{64}\C*" % b"".join(b"\\x%02x" % each for each in _STANDARD_TABLE)


def decode_image(
    contents: tf.Tensor,
    channels: int = 3,
    dtype: tf.DType = tf.uint8,
    exif: bool = True,
    may_call_python: bool = False,
) -> tf.Tensor:
    """Decodes a JPEG, PNG or BMP file.

    Args:
      contents: scalar string, the bytes of the file.
      channels: 3 for colour: gray is repeated, and alpha is dropped, so that the colours of
        transparent pixels count. 1 for gray: colours become their luma. 4 for colour and alpha: an
        image without alpha is opaque. 2 for the gray and the alpha of a gray PNG.
      dtype: uint8, which takes the upper 8 bits of a 16-bit PNG; or uint16, over whose whole range
        8 bits are spread.
      exif: whether a JPEG or PNG is turned as its EXIF orientation says.
      may_call_python: whether the graph runs in this process alone, as a training's does. Then a JPEG that
        may be one to refuse is looked at in Python: the operations for that are most of all that there
        are here, and would be made at each start.

    Returns:
      [H, W, channels] of that type.
    """
    suspect = _call_python if may_call_python else functools.partial(_compile_rare, _decode_suspect_jpeg)
    branches = [
        lambda: decode_png(contents, channels, dtype),
        lambda: _compile_rare(_decode_bmp, channels, dtype)(contents),
        lambda: suspect(channels, dtype)(contents),
        lambda: _as_type(_decode_jpeg(contents, channels), dtype),
    ]
    image = tf.switch_case(_find_branch(contents), branches)
    if exif:
        image = turn_in_graph(image, find_orientation_in_graph(contents))
    return tf.ensure_shape(image, [None, None, channels])


def _find_branch(contents: tf.Tensor) -> tf.Tensor:
    """Returns 0 for a PNG file, 1 for a BMP, 2 for a JPEG that may be one to refuse, and 3 for all others."""
    is_suspect = _holds(contents, _ZEROS, 1) | _holds(contents, JPEG_SCAN, MAX_JPEG_SCANS + 1)
    is_bmp = tf.equal(tf.strings.substr(contents, 0, len(BMP_START)), BMP_START)
    is_png = tf.equal(tf.strings.substr(contents, 0, len(PNG_START)), PNG_START)
    return tf.where(is_png, 0, tf.where(is_bmp, 1, tf.where(is_suspect, 2, 3)))


def _holds(contents: tf.Tensor, part: bytes, count: int) -> tf.Tensor:
    """Returns whether bytes hold a part at least so often."""
    pieces = tf.raw_ops.StringSplitV2(input=contents[tf.newaxis], sep=part, maxsplit=count)
    return tf.size(pieces.values) > count


@functools.lru_cache
def _compile_rare(decode: Callable, channels: int, dtype: tf.DType) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function for a branch that few files take.

    It stays a function in the graph, because TensorFlow goes through each operation of a branch that is not
    taken, which takes half as long as to decode a small file.
    """
    return tf.function(
        lambda contents: _as_type(decode(contents, channels), dtype),
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
        experimental_attributes={"_noinline": True},
    )


def _call_python(channels: int, dtype: tf.DType) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function that gives what `decode_image` does, through `decode_bytes`."""

    def decode(contents: bytes) -> Pixels:
        return decode_bytes(contents, channels, dtype)

    return lambda contents: tf.numpy_function(decode, [contents], dtype)


def _as_type(image: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    return tf.cast(image, dtype) * 257 if dtype == tf.uint16 else image


def decode_bytes(contents: bytes, channels: int, dtype: tf.DType) -> Pixels:
    """Returns what `decode_image` returns of bytes that are at hand, without turning the image.

    Most files take one operation, which `decode_image` would come to as well. Outside a graph, to decide on
    the way in TensorFlow takes many times as long as to decode a small file.
    """
    if channels == 3 and contents.startswith(PNG_START):
        return tf.io.decode_png(contents, 3, dtype).numpy()
    if channels == 3 and dtype == tf.uint8 and contents.startswith(JPEG_START):
        is_suspect = _ZEROS in contents or contents.count(JPEG_SCAN) > MAX_JPEG_SCANS
        if not is_suspect:
            return _decode_jpeg_plainly(contents, 3).numpy()
    return _compile(channels, dtype)(tf.constant(contents)).numpy()


@functools.lru_cache
def _compile(channels: int, dtype: tf.DType) -> Callable[[tf.Tensor], tf.Tensor]:
    def decode(contents: tf.Tensor) -> tf.Tensor:
        return decode_image(contents, channels, dtype, exif=False)

    return tf.function(decode, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)


def _decode_jpeg_plainly(contents: tf.Tensor | bytes, channels: int) -> tf.Tensor:
    # TensorFlow's default DCT is wrong by up to 20 of 255 levels; this one equals Pillow's exactly.
    return tf.io.decode_jpeg(contents, channels=channels, dct_method="INTEGER_ACCURATE")


def decode_png(contents: tf.Tensor, channels: int, dtype: tf.DType) -> tf.Tensor:
    """Returns what `decode_image` returns of a PNG file, without turning the image."""
    if channels == 1:
        return _luma(tf.io.decode_png(contents, 3, dtype))
    if channels == 3:
        return tf.io.decode_png(contents, 3, dtype)
    image = _mend_alpha(tf.io.decode_png(contents, 4, dtype), contents)
    return tf.gather(image, [0, 3], axis=2) if channels == 2 else image


def _decode_suspect_jpeg(contents: tf.Tensor, channels: int) -> tf.Tensor:
    """Decodes a JPEG unless it is one that a decoder must not be given.

    A decoder makes gray of a part that is overwritten with zeros, as in a broken download, without a word.
    It would work for minutes on a file of very many scans.
    """
    is_zeroed = tf.strings.regex_full_match(cut_jpeg_frame(contents), _ZEROED)
    too_many = f"the JPEG has more than {MAX_JPEG_SCANS} scans; save it anew"
    refusals = [
        tf.debugging.Assert(~is_zeroed, ["a part of the JPEG is overwritten with zeros"]),
        tf.debugging.Assert(~has_too_many_scans(contents), [too_many]),
    ]
    with tf.control_dependencies(refusals):
        return _decode_jpeg(tf.identity(contents), channels)


def _decode_jpeg(contents: tf.Tensor, channels: int) -> tf.Tensor:
    decode = functools.partial(_decode_jpeg_plainly, contents)
    if channels == 1:
        # The decoder makes no gray of four inks.
        has_inks = tf.equal(tf.io.extract_jpeg_shape(contents)[2], 4)
        return tf.cond(has_inks, lambda: _luma(decode(3)), lambda: decode(1))
    return _add_alpha(decode(3)) if channels == 4 else decode(3)


def _decode_bmp(contents: tf.Tensor, channels: int) -> tf.Tensor:
    image = tf.io.decode_bmp(cut_bmp(contents))
    colours = tf.gather(image, tf.minimum([0, 1, 2], tf.shape(image)[2] - 1), axis=2)
    if channels == 1:
        return _luma(colours)
    if channels == 4:
        has_alpha = bmp_has_alpha(contents)
        return tf.cond(has_alpha, lambda: tf.identity(image), lambda: _add_alpha(colours))
    return colours


def _luma(image: tf.Tensor) -> tf.Tensor:
    """Returns the gray image of an RGB image, as `number_arrays.luma` does.

    TensorFlow's decoder makes PNG files gray too, but where a file tells a gamma, it weighs linear light.
    """
    levels = tf.reduce_sum(tf.cast(image, tf.int32) * LUMA_WEIGHTS, -1, keepdims=True)
    levels += LUMA_ROUNDING[image.dtype.as_numpy_dtype]
    return tf.cast(tf.bitwise.right_shift(levels, LUMA_BITS), image.dtype)


def _mend_alpha(image: tf.Tensor, contents: tf.Tensor) -> tf.Tensor:
    """Returns an RGBA image with full alpha where the decoder gives an opaque PNG too little.

    A PNG of 1, 2 or 4 bits without transparency gets the highest number of so few bits for alpha.
    """
    bits = tf.io.decode_raw(tf.strings.substr(contents, 0, _PNG_BITS_AT + 1), tf.uint8)[_PNG_BITS_AT]
    is_opaque = (bits < 8) & ~png_has_transparency(contents)
    return tf.cond(is_opaque, lambda: _add_alpha(image[..., :3]), lambda: image)


def _add_alpha(colours: tf.Tensor) -> tf.Tensor:
    return tf.pad(colours, [[0, 0], [0, 0], [0, 1]], constant_values=colours.dtype.max)
