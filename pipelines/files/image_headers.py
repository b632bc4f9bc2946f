"""What the header of a PNG, JPEG or BMP file says.

The tables of the three formats stand here, and nowhere else. There is a second reader in
`headers_in_graph.py` because a SavedModel checks files inside its graph, where no Python runs.
"""

import struct
from typing import BinaryIO

from tfpix2pix.pipelines.catalogue import FORMATS
from tfpix2pix.pipelines.files.orientation import EXIF_START, UPRIGHT, parse_orientation

PNG_START = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8\xff"
BMP_START = b"BM"
PNG_GRAY = 0  # the colour type of a PNG with one channel
# Channels by colour type. Colour type 3 is a palette, whose colours the decoder looks up.
PNG_CHANNELS = {PNG_GRAY: 1, 2: 3, 3: 3, 4: 2, 6: 4}
# The same with a chunk of transparency, which gives some levels, colours or the palette an alpha.
PNG_TRANSPARENT_CHANNELS = {PNG_GRAY: 2, 2: 4, 3: 4}
PNG_FIRST_CHUNK = b"\0\0\0\rIHDR"
PNG_FIRST_CHUNK_END = 33
PNG_PIXELS, PNG_TRANSPARENCY, PNG_EXIF = b"IDAT", b"tRNS", b"eXIf"
# JPEG markers by their second byte; the first is always FF. A frame may start with any of these
# codings; C4, C8 and CC, which lie in between, mark other segments.
JPEG_FRAMES = tuple(sorted(set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}))
# The codings that decoders know: baseline, sequential and progressive ones.
JPEG_KNOWN_FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
# Segments that a decoder skips by their length: tables, application data and comments. Other
# markers have no length, so a decoder would go on elsewhere than a reader that skips one.
JPEG_SEGMENTS = (0xC4, 0xCC, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0))
JPEG_EXIF, JPEG_ADOBE, ADOBE_START = 0xE1, 0xEE, b"Adobe"
# The largest profile and preview that files carry take some 300 segments of 64 KiB.
MAX_SEGMENTS = 1000
# A scan starts with this marker, and a decoder goes through the whole picture for each scan. Encoders write
# about ten; a file of 10 MB has room for 800,000, which take minutes. libjpeg-turbo's fuzzers stop here too.
JPEG_SCAN, MAX_JPEG_SCANS = b"\xff\xda", 500
# The BMP files that the decoder reads correctly: gray ones with this palette, and others with this order.
BMP_GRAY_PALETTE = b"".join(bytes([level, level, level, 0]) for level in range(256))
BMP_MASKS = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)
BMP_ALPHA_MASK = struct.pack("<I", 0xFF000000)
BMP_ALPHA_HEADER_BYTES = 56  # a header of at least so many bytes tells the place of alpha
# What is wrong with files that are whole, to follow their names.
STRANGE_BMP = "is an unusual BMP (palette, compression or channel order); save it as PNG"
STRANGE_JPEG = "is a JPEG of an unusual kind (lossless, or of more than 8 bits); save it as PNG"
CMYK_WITHOUT_ADOBE = (
    "is a CMYK JPEG that does not tell whether its inks are inverted (it has no Adobe marker); save it as RGB"
)


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
        return _parse_png(stream)
    if start.startswith(BMP_START):
        return (*_parse_bmp(stream), 8, UPRIGHT)
    raise ValueError(f"is not a {FORMATS} image" if start else "is empty (0 bytes)")


def gray_step(bits: int) -> int:
    """Returns the step between the levels of a gray image of so many bits, spread over 8 bits."""
    return 255 // (2**bits - 1) if bits < 8 else 1


def _parse_png(stream: BinaryIO) -> tuple[int, int, int, int, int]:
    width, height, bits, colour_type = struct.unpack(">8xIIBB", stream.read(18))
    if colour_type not in PNG_CHANNELS:
        raise ValueError("has a damaged header")
    channels, has_exif, orientation = PNG_CHANNELS[colour_type], False, UPRIGHT
    stream.seek(PNG_FIRST_CHUNK_END)
    # Only the chunks before the pixels count, as in the graph, so that files are not read to their ends.
    for _ in range(MAX_SEGMENTS):
        start = stream.read(8)
        if len(start) < 8 or start.endswith(PNG_PIXELS):
            break
        length, kind = struct.unpack(">I4s", start)
        if kind == PNG_TRANSPARENCY:
            channels = PNG_TRANSPARENT_CHANNELS.get(colour_type, channels)
        if kind == PNG_EXIF and not has_exif:
            has_exif, orientation = True, parse_orientation(EXIF_START + stream.read(length))
        else:
            stream.seek(length, 1)
        stream.seek(4, 1)  # the checksum
    return height, width, channels, bits, orientation


def _parse_jpeg(stream: BinaryIO) -> tuple[int, int, int, int, int]:
    stream.seek(2)
    has_exif, orientation, has_adobe = False, UPRIGHT, False
    while True:
        first, marker, length = struct.unpack(">BBH", stream.read(4))
        if first == 0xFF and marker in JPEG_FRAMES:
            bits, height, width, inks = struct.unpack(">BHHB", stream.read(6))
            if marker not in JPEG_KNOWN_FRAMES or bits != 8:
                raise ValueError(STRANGE_JPEG)
            if inks == 4 and not has_adobe:
                raise ValueError(CMYK_WITHOUT_ADOBE)
            # The decoder makes three colours of four inks.
            return height, width, min(inks, 3), 8, orientation
        if first != 0xFF or length < 2:
            raise ValueError("has a damaged header")
        if marker in (JPEG_EXIF, JPEG_ADOBE):
            segment = stream.read(length - 2)
            has_adobe |= marker == JPEG_ADOBE and segment.startswith(ADOBE_START)
            # As in the graph, the first segment of EXIF counts.
            if marker == JPEG_EXIF and not has_exif and segment.startswith(EXIF_START):
                has_exif, orientation = True, parse_orientation(segment)
        else:
            # A marker may be padded with more FF bytes.
            stream.seek(-3 if marker == 0xFF else length - 2, 1)


def _parse_bmp(stream: BinaryIO) -> tuple[int, int, int]:
    stream.seek(14)
    header_bytes, width, height, bits, compression = struct.unpack("<Iii2xHI", stream.read(20))
    stream.seek(14 + header_bytes)
    gray = bits == 8 and compression == 0 and stream.read(1024) == BMP_GRAY_PALETTE
    stream.seek(54)
    masks = stream.read(16)
    # Compression 3 does not compress either: it says which byte is which channel.
    has_masks = bits == 32 and compression == 3 and masks.startswith(BMP_MASKS)
    plain = has_masks or (bits in (24, 32) and compression == 0)
    if header_bytes < 40 or not (gray or plain):
        raise ValueError(STRANGE_BMP)
    has_alpha = has_masks and header_bytes >= BMP_ALPHA_HEADER_BYTES and masks[12:] == BMP_ALPHA_MASK
    # The height is negative where the rows are stored from top to bottom.
    return abs(height), width, 1 if gray else 4 if has_alpha else 3
