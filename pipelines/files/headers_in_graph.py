"""What the header of a PNG, JPEG or BMP file says, read in a TensorFlow graph, where no Python runs.

The tables of the formats are those of `image_headers.py`.
"""

from typing import NamedTuple

import tensorflow as tf

from tfpix2pix.pipelines.files.image_headers import (
    ADOBE_START,
    BMP_ALPHA_HEADER_BYTES,
    BMP_ALPHA_MASK,
    BMP_GRAY_PALETTE,
    BMP_MASKS,
    BMP_START,
    CMYK_WITHOUT_ADOBE,
    JPEG_ADOBE,
    JPEG_EXIF,
    JPEG_FRAMES,
    JPEG_KNOWN_FRAMES,
    JPEG_SCAN,
    JPEG_SEGMENTS,
    JPEG_START,
    MAX_JPEG_SCANS,
    MAX_SEGMENTS,
    PNG_CHANNELS,
    PNG_EXIF,
    PNG_FIRST_CHUNK,
    PNG_FIRST_CHUNK_END,
    PNG_PIXELS,
    PNG_START,
    PNG_TRANSPARENCY,
    PNG_TRANSPARENT_CHANNELS,
    STRANGE_BMP,
    STRANGE_JPEG,
)
from tfpix2pix.pipelines.files.orientation import EXIF_START, UPRIGHT, parse_orientation_in_graph

# Each reader is traced once, and is in a SavedModel once, however often it is called.
_reader = tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
NO_IMAGE = "is no JPEG, PNG or BMP image that can be read"


class GraphHeader(NamedTuple):
    """What is known of a file before it is decoded.

    Attributes:
      problem: string, why the file is not read, to follow its name; empty if it is read. Then the numbers,
        which are int64, mean nothing.
      height: px.
      width: px.
      channels: number of channels.
      bits: bits of a channel.
    """

    problem: tf.Tensor
    height: tf.Tensor
    width: tf.Tensor
    channels: tf.Tensor
    bits: tf.Tensor


@_reader
def parse_header_in_graph(contents: tf.Tensor) -> GraphHeader:
    """Reads the header of an image file with TensorFlow operations.

    It is stricter than `parse_header` about JPEG files: it refuses those in which a decoder would
    look for the picture elsewhere, because their size cannot be trusted.

    Args:
      contents: scalar string, the bytes of the file.
    """
    start = _read_bytes(contents, 0, 34)
    nothing = tf.constant(0, tf.int64)
    header = tf.case(
        [
            (_begins(contents, PNG_START), lambda: tuple(_png_in_graph(contents, start))),
            (_begins(contents, JPEG_START), lambda: tuple(_jpeg_in_graph(contents))),
            (_begins(contents, BMP_START), lambda: tuple(_bmp_in_graph(contents))),
        ],
        default=lambda: (tf.constant(NO_IMAGE), nothing, nothing, nothing, nothing),
    )
    return GraphHeader(*header)


def _begins(contents: tf.Tensor, start: bytes) -> tf.Tensor:
    return tf.equal(tf.strings.substr(contents, 0, len(start)), start)


def _png_in_graph(contents: tf.Tensor, start: tf.Tensor) -> GraphHeader:
    colour_type, last = start[25], max(PNG_CHANNELS)
    # Colour types that do not exist get 0 channels.
    opaque = tf.constant([PNG_CHANNELS.get(each, 0) for each in range(last + 1)], tf.int64)
    transparent = tf.constant(
        [PNG_TRANSPARENT_CHANNELS.get(each, PNG_CHANNELS.get(each, 0)) for each in range(last + 1)], tf.int64
    )
    by_type = tf.where(png_has_transparency(contents), transparent, opaque)
    channels = tf.gather(by_type, tf.minimum(colour_type, last))
    found = tf.equal(tf.strings.substr(contents, 8, 8), PNG_FIRST_CHUNK)
    found &= (tf.strings.length(contents) > PNG_FIRST_CHUNK_END) & (channels > 0) & (colour_type <= last)
    problem = tf.where(found, "", NO_IMAGE)
    return GraphHeader(problem, _number(start[20:24]), _number(start[16:20]), channels, start[24])


def gray_step_in_graph(channels: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Returns `gray_step` for what `parse_header_in_graph` returned, int64; 1 for files that are not gray."""
    levels = tf.bitwise.left_shift(tf.constant(1, tf.int64), tf.minimum(bits, 8)) - 1
    return tf.where((channels <= 2) & (bits < 8), 255 // tf.maximum(levels, 1), 1)


def png_has_transparency(contents: tf.Tensor) -> tf.Tensor:
    """Returns whether a PNG has a chunk of transparency; bool."""
    return _walk_png(contents)[0]


@_reader
def _walk_png(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns whether a PNG has a chunk of transparency, and the place of its EXIF, 0 without one."""

    def skip_chunk(
        place: tf.Tensor, is_transparent: tf.Tensor, exif: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        kind = _substring(contents, place + 4, 4)
        exif = tf.where(tf.equal(kind, PNG_EXIF) & tf.equal(exif, 0), place, exif)
        is_transparent |= tf.equal(kind, PNG_TRANSPARENCY)
        return place + 12 + _number(_read_bytes(contents, place, 4)), is_transparent, exif

    length = tf.cast(tf.strings.length(contents), tf.int64)
    _, is_transparent, exif = tf.while_loop(
        lambda place, *_: (
            (place + 8 <= length) & tf.not_equal(_substring(contents, place + 4, 4), PNG_PIXELS)
        ),
        skip_chunk,
        (tf.constant(PNG_FIRST_CHUNK_END, tf.int64), tf.constant(False), tf.constant(0, tf.int64)),
        maximum_iterations=MAX_SEGMENTS,
    )
    return is_transparent, exif


def _jpeg_in_graph(contents: tf.Tensor) -> GraphHeader:
    place, _, has_adobe = _find_jpeg_frame(contents)
    frame = _read_bytes(contents, tf.abs(place), 10)
    inks = frame[9]
    is_known = _is_one_of(frame[1], JPEG_KNOWN_FRAMES) & tf.equal(frame[4], 8)
    problem = tf.where(tf.equal(inks, 4) & ~has_adobe, CMYK_WITHOUT_ADOBE, "")
    problem = tf.where(is_known, problem, STRANGE_JPEG)
    problem = tf.where(place > 0, problem, NO_IMAGE)
    return GraphHeader(problem, _number(frame[5:7]), _number(frame[7:9]), tf.minimum(inks, 3), frame[4])


@_reader
def find_orientation_in_graph(contents: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF orientation of a JPEG or PNG, int64; it is `UPRIGHT` for others, and without EXIF."""

    def find_in_jpeg() -> tf.Tensor:
        _, place, _ = _find_jpeg_frame(contents)
        body = _number(_read_bytes(contents, place + 2, 2)) - 2
        count = tf.where(place > 0, tf.maximum(body, 0), 0)
        return parse_orientation_in_graph(_substring(contents, place + 4, count))

    def find_in_png() -> tf.Tensor:
        _, place = _walk_png(contents)
        count = tf.where(place > 0, _number(_read_bytes(contents, place, 4)), 0)
        return parse_orientation_in_graph(EXIF_START + _substring(contents, place + 8, count))

    return tf.case(
        [(_begins(contents, JPEG_START), find_in_jpeg), (_begins(contents, PNG_START), find_in_png)],
        default=lambda: tf.constant(UPRIGHT, tf.int64),
    )


@_reader
def cut_jpeg_frame(contents: tf.Tensor) -> tf.Tensor:
    """Returns the bytes of a JPEG from its start of frame to the end of its picture, without thumbnails."""
    place, *_ = _find_jpeg_frame(contents)
    length = tf.strings.length(contents)
    return tf.strings.split(_substring(contents, tf.abs(place), length), b"\xff\xd9", maxsplit=1)[0]


@_reader
def has_too_many_scans(contents: tf.Tensor) -> tf.Tensor:
    """Returns whether a JPEG has more than `MAX_JPEG_SCANS` scans; bool."""
    place, *_ = _find_jpeg_frame(contents)
    # Up to the end of the file, because what looks like the picture's end may be inside a comment.
    rest = _substring(contents, tf.abs(place), tf.strings.length(contents))
    return tf.size(tf.strings.split(rest, JPEG_SCAN, maxsplit=MAX_JPEG_SCANS + 1)) > MAX_JPEG_SCANS + 1


@_reader
def _find_jpeg_frame(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Finds the start of frame of a JPEG, and what comes before it.

    Returns:
      The place of the start of frame, int64, negative where a decoder would look elsewhere; the place
      of the first segment with EXIF before it, 0 if there is none; and whether Adobe's segment is there.
    """

    def is_frame(place: tf.Tensor) -> tf.Tensor:
        start = _read_bytes(contents, place, 2)
        return tf.equal(start[0], 0xFF) & _is_one_of(start[1], JPEG_FRAMES)

    def skip_segment(
        place: tf.Tensor, exif: tf.Tensor, has_adobe: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        start = _read_bytes(contents, place, 4)
        length = _number(start[2:])
        skipped = tf.case(
            [
                (tf.not_equal(start[0], 0xFF), lambda: -place),
                # A marker may be padded with more FF bytes.
                (tf.equal(start[1], 0xFF), lambda: place + 1),
                (_is_one_of(start[1], JPEG_SEGMENTS) & (length >= 2), lambda: place + 2 + length),
            ],
            default=lambda: -place,
        )
        has_exif = tf.equal(start[1], JPEG_EXIF) & tf.equal(exif, 0)
        has_exif &= tf.equal(_substring(contents, place + 4, len(EXIF_START)), EXIF_START)
        is_adobe = tf.equal(_substring(contents, place + 4, len(ADOBE_START)), ADOBE_START)
        has_adobe |= tf.equal(start[1], JPEG_ADOBE) & is_adobe
        return skipped, tf.where(has_exif, place, exif), has_adobe

    place, exif, has_adobe = tf.while_loop(
        lambda place, *_: (place > 0) & ~is_frame(tf.abs(place)),
        skip_segment,
        (tf.constant(2, tf.int64), tf.constant(0, tf.int64), tf.constant(False)),
        maximum_iterations=MAX_SEGMENTS,
    )
    return tf.where(is_frame(tf.abs(place)), place, -tf.abs(place)), exif, has_adobe


class _BmpStart(NamedTuple):
    """The first numbers of a BMP, int64."""

    offset: tf.Tensor
    header_bytes: tf.Tensor
    width: tf.Tensor
    height: tf.Tensor
    bits: tf.Tensor
    compression: tf.Tensor


def _parse_bmp_start(contents: tf.Tensor) -> _BmpStart:
    start = _read_bytes(contents, 0, 34)
    offset, header_bytes, width, height, compression = (
        _number(start[place : place + 4][::-1]) for place in (10, 14, 18, 22, 30)
    )
    # The height is negative where the rows are stored from top to bottom.
    height = tf.where(height < 2**31, height, 2**32 - height)
    return _BmpStart(offset, header_bytes, width, height, _number(start[28:30][::-1]), compression)


def _bmp_in_graph(contents: tf.Tensor) -> GraphHeader:
    _, header_bytes, width, height, bits, compression = _parse_bmp_start(contents)
    is_gray = tf.equal(bits, 8) & tf.equal(compression, 0)
    is_gray &= tf.equal(_substring(contents, 14 + header_bytes, 1024), BMP_GRAY_PALETTE)
    has_masks = tf.equal(bits, 32) & tf.equal(compression, 3)
    has_masks &= tf.equal(_substring(contents, 54, 12), BMP_MASKS)
    is_plain = has_masks | (tf.equal(compression, 0) & (tf.equal(bits, 24) | tf.equal(bits, 32)))
    problem = tf.where((header_bytes >= 40) & (is_gray | is_plain), "", STRANGE_BMP)
    problem = tf.where(tf.strings.length(contents) > 54, problem, NO_IMAGE)
    one, three, four, eight = tf.unstack(tf.constant([1, 3, 4, 8], tf.int64))
    colours = tf.where(bmp_has_alpha(contents), four, three)
    return GraphHeader(problem, height, width, tf.where(is_gray, one, colours), eight)


def bmp_has_alpha(contents: tf.Tensor) -> tf.Tensor:
    """Returns whether a BMP that is read tells that its fourth channel is alpha; bool."""
    _, header_bytes, _, _, bits, compression = _parse_bmp_start(contents)
    has_room = (header_bytes >= BMP_ALPHA_HEADER_BYTES) & tf.equal(compression, 3) & tf.equal(bits, 32)
    return has_room & tf.equal(_substring(contents, 54, 16), BMP_MASKS + BMP_ALPHA_MASK)


def cut_bmp(contents: tf.Tensor) -> tf.Tensor:
    """Returns a BMP without what comes after its pixels, such as an ICC profile, which stops the decoder."""
    offset, _, width, height, bits, _ = _parse_bmp_start(contents)
    row_bytes = (bits * width + 31) // 32 * 4
    return _substring(contents, 0, offset + row_bytes * height)


def _substring(contents: tf.Tensor, place: tf.Tensor | int, count: tf.Tensor | int) -> tf.Tensor:
    length = tf.cast(tf.strings.length(contents), tf.int64)
    return tf.strings.substr(contents, tf.minimum(tf.cast(place, tf.int64), length), tf.cast(count, tf.int64))


def _read_bytes(contents: tf.Tensor, place: tf.Tensor | int, count: int) -> tf.Tensor:
    """Returns int64 [count]; bytes beyond the end are zero."""
    part = _substring(contents, place, count)
    return tf.cast(tf.io.decode_raw(part, tf.uint8, fixed_length=count), tf.int64)


def _number(digits: tf.Tensor) -> tf.Tensor:
    """Returns the number that bytes stand for, the highest byte first."""
    count = digits.shape[0]
    return tf.reduce_sum(digits * tf.constant([256 ** (count - 1 - i) for i in range(count)], tf.int64))


def _is_one_of(value: tf.Tensor, values: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(tf.equal(value, tf.constant(values, tf.int64)))
