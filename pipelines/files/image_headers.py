"""What the header of a PNG, JPEG or BMP file says: read in Python, or in a TensorFlow graph.

The tables of the three formats stand here, and nowhere else. There are two readers because a
SavedModel checks files inside its graph, where no Python runs.
"""

import struct
from typing import BinaryIO

import tensorflow as tf

from tfpix2pix.pipelines.catalogue import FORMATS
from tfpix2pix.pipelines.files.orientation import (
    EXIF_START,
    UPRIGHT,
    parse_orientation,
    parse_orientation_in_graph,
)

PNG_START = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8\xff"
BMP_START = b"BM"
PNG_GRAY = 0  # the colour type of a PNG with one channel
# Channels by colour type. Colour type 3 is a palette, whose colours the decoder looks up.
_PNG_CHANNELS = {PNG_GRAY: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_PNG_FIRST_CHUNK = b"\0\0\0\rIHDR"
# JPEG markers by their second byte; the first is always FF. A frame may start with any of these
# codings; C4, C8 and CC, which lie in between, mark other segments.
_JPEG_FRAMES = tuple(sorted(set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}))
# Segments that a decoder skips by their length: tables, application data and comments. Other
# markers have no length, so a decoder would go on elsewhere than a reader that skips one.
_JPEG_SEGMENTS = (0xC4, 0xCC, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0))
_JPEG_EXIF = 0xE1
# The largest profile and preview that files carry take some 300 segments of 64 KiB.
_MAX_SEGMENTS = 1000
# The BMP files that the decoder reads correctly: gray ones with this palette, and others with this order.
_GRAY_PALETTE = b"".join(bytes([level, level, level, 0]) for level in range(256))
_BGR_MASKS = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)

# Whether there is a header; height and width in px; channels; bits of a channel.
GraphHeader = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]


def parse_header(stream: BinaryIO) -> tuple[int, int, int, int, int]:
    """Reads the header of an image file.

    Args:
      stream: the file, at its start.

    Returns:
      Height and width in px, channels, bits of a channel, and the EXIF orientation from 1 to 8.

    Raises:
      ValueError: for a file of another kind; the text says what is wrong, to follow the file's name.
      struct.error: if the header is cut short.
    """
    start = stream.read(8)
    if start.startswith(JPEG_START):
        return _parse_jpeg(stream)
    if start == PNG_START:
        width, height, bits, colour_type = struct.unpack(">8xIIBB", stream.read(18))
        if colour_type not in _PNG_CHANNELS:
            raise ValueError("has a damaged header")
        return height, width, _PNG_CHANNELS[colour_type], bits, UPRIGHT
    if start.startswith(BMP_START):
        return (*_parse_bmp(stream), 8, UPRIGHT)
    raise ValueError(f"is not a {FORMATS} image" if start else "is empty (0 bytes)")


def gray_step(bits: int) -> int:
    """Returns the step between the levels of a gray image of so many bits, spread over 8 bits."""
    return 255 // (2**bits - 1) if bits < 8 else 1


def gray_step_in_graph(channels: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Returns `gray_step` for what `parse_header_in_graph` returned, int64; 1 for files that are not gray."""
    levels = tf.bitwise.left_shift(tf.constant(1, tf.int64), tf.minimum(bits, 8)) - 1
    return tf.where(tf.equal(channels, 1) & (bits < 8), 255 // tf.maximum(levels, 1), 1)


def _parse_jpeg(stream: BinaryIO) -> tuple[int, int, int, int, int]:
    stream.seek(2)
    has_exif, orientation = False, UPRIGHT
    while True:
        first, marker, length = struct.unpack(">BBH", stream.read(4))
        if first == 0xFF and marker in _JPEG_FRAMES:
            height, width, channels = struct.unpack(">xHHB", stream.read(6))
            return height, width, channels, 8, orientation
        if first != 0xFF or length < 2:
            raise ValueError("has a damaged header")
        if marker == _JPEG_EXIF:
            segment = stream.read(length - 2)
            # As in the graph, the first segment of EXIF counts.
            if not has_exif and segment.startswith(EXIF_START):
                has_exif, orientation = True, parse_orientation(segment)
        else:
            # A marker may be padded with more FF bytes.
            stream.seek(-3 if marker == 0xFF else length - 2, 1)


def _parse_bmp(stream: BinaryIO) -> tuple[int, int, int]:
    stream.seek(14)
    header_bytes, width, height, bits, compression = struct.unpack("<Iii2xHI", stream.read(20))
    stream.seek(14 + header_bytes)
    gray = bits == 8 and compression == 0 and stream.read(1024) == _GRAY_PALETTE
    stream.seek(54)
    # Compression 3 does not compress either: it says which byte is which channel.
    plain = bits in (24, 32) and (compression == 0 or (compression == 3 and stream.read(12) == _BGR_MASKS))
    if header_bytes < 40 or not (gray or plain):
        raise ValueError("is an unusual BMP (palette, compression or channel order); save it as PNG")
    # The height is negative where the rows are stored from top to bottom.
    return abs(height), width, 1 if gray else 3


def parse_header_in_graph(contents: tf.Tensor) -> GraphHeader:
    """Reads the header of an image file with TensorFlow operations.

    It is stricter than `parse_header` about JPEG files: it refuses those in which a decoder would
    look for the picture elsewhere, because their size cannot be trusted.

    Args:
      contents: scalar string, the bytes of the file.

    Returns:
      Whether there is a header, bool; height and width in px, channels, and bits of a channel,
      int64. The numbers mean nothing where there is no header.
    """
    start = _read_bytes(contents, 0, 34)
    is_png = tf.equal(tf.strings.substr(contents, 0, len(PNG_START)), PNG_START)
    is_jpeg = tf.equal(tf.strings.substr(contents, 0, len(JPEG_START)), JPEG_START)
    is_bmp = tf.equal(tf.strings.substr(contents, 0, len(BMP_START)), BMP_START)
    nothing = tf.constant(0, tf.int64)
    return tf.case(
        [
            (is_png, lambda: _png_in_graph(contents, start)),
            (is_jpeg, lambda: _jpeg_in_graph(contents)),
            (is_bmp, lambda: _bmp_in_graph(contents, start)),
        ],
        default=lambda: (tf.constant(False), nothing, nothing, nothing, nothing),
    )


def _png_in_graph(contents: tf.Tensor, start: tf.Tensor) -> GraphHeader:
    colour_type, last = start[25], max(_PNG_CHANNELS)
    # Colour types that do not exist get 0 channels.
    by_type = tf.constant([_PNG_CHANNELS.get(each, 0) for each in range(last + 1)], tf.int64)
    channels = tf.gather(by_type, tf.minimum(colour_type, last))
    found = tf.equal(tf.strings.substr(contents, 8, 8), _PNG_FIRST_CHUNK) & (tf.strings.length(contents) > 33)
    found &= (channels > 0) & (colour_type <= last)
    return found, _number(start[20:24]), _number(start[16:20]), channels, start[24]


def _jpeg_in_graph(contents: tf.Tensor) -> GraphHeader:
    place, _ = _find_jpeg_frame(contents)
    frame = _read_bytes(contents, tf.abs(place), 10)
    return place > 0, _number(frame[5:7]), _number(frame[7:9]), frame[9], frame[4]


def find_orientation_in_graph(contents: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF orientation of a file, int64; it is `UPRIGHT` if the file is no JPEG or tells none."""

    def find_in_jpeg() -> tf.Tensor:
        _, place = _find_jpeg_frame(contents)
        body = _number(_read_bytes(contents, place + 2, 2)) - 2
        count = tf.where(place > 0, tf.maximum(body, 0), 0)
        return parse_orientation_in_graph(_substring(contents, place + 4, count))

    is_jpeg = tf.equal(tf.strings.substr(contents, 0, len(JPEG_START)), JPEG_START)
    return tf.cond(is_jpeg, find_in_jpeg, lambda: tf.constant(UPRIGHT, tf.int64))


def _find_jpeg_frame(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Finds the start of frame of a JPEG, and its EXIF.

    Returns:
      The place of the start of frame, int64, negative where a decoder would look elsewhere; and the place
      of the first segment with EXIF before it, 0 if there is none.
    """

    def is_frame(place: tf.Tensor) -> tf.Tensor:
        start = _read_bytes(contents, place, 2)
        return tf.equal(start[0], 0xFF) & _is_one_of(start[1], _JPEG_FRAMES)

    def skip_segment(place: tf.Tensor, exif: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
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
        has_exif = tf.equal(start[1], _JPEG_EXIF) & tf.equal(exif, 0)
        has_exif &= tf.equal(_substring(contents, place + 4, len(EXIF_START)), EXIF_START)
        return skipped, tf.where(has_exif, place, exif)

    place, exif = tf.while_loop(
        lambda place, _: (place > 0) & ~is_frame(tf.abs(place)),
        skip_segment,
        (tf.constant(2, tf.int64), tf.constant(0, tf.int64)),
        maximum_iterations=_MAX_SEGMENTS,
    )
    return tf.where(is_frame(tf.abs(place)), place, -tf.abs(place)), exif


def _bmp_in_graph(contents: tf.Tensor, start: tf.Tensor) -> GraphHeader:
    header_bytes, width, height, compression = (
        _number(start[place : place + 4][::-1]) for place in (14, 18, 22, 30)
    )
    bits = _number(start[28:30][::-1])
    is_gray = tf.equal(bits, 8) & tf.equal(compression, 0)
    is_gray &= tf.equal(_substring(contents, 14 + header_bytes, 1024), _GRAY_PALETTE)
    is_plain = tf.equal(bits, 24) | tf.equal(bits, 32)
    is_plain &= tf.equal(compression, 0) | (
        tf.equal(compression, 3) & tf.equal(_substring(contents, 54, 12), _BGR_MASKS)
    )
    found = (header_bytes >= 40) & (is_gray | is_plain) & (tf.strings.length(contents) > 54)
    # The height is negative where the rows are stored from top to bottom.
    height = tf.where(height < 2**31, height, 2**32 - height)
    one, three, eight = tf.unstack(tf.constant([1, 3, 8], tf.int64))
    return found, height, width, tf.where(is_gray, one, three), eight


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
