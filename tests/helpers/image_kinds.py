"""Every kind of PNG, JPEG and BMP file, written byte by byte where Pillow does not write it."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

PNG_BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
HEIGHT, WIDTH = 6, 10


class Kind(NamedTuple):
    """A file, and what is in it.

    Attributes:
      title: what it is.
      contents: its bytes.
      rgba: uint16 [H, W, 4], its colours and its alpha over the whole range.
      channels: the channels that it has: 1, 2, 3 or 4.
      is_deep: whether they have 16 bits.
    """

    title: str
    contents: bytes
    rgba: np.ndarray
    channels: int
    is_deep: bool = False


def chunk(kind: bytes, body: bytes) -> bytes:
    """Returns a chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def write_png(samples: np.ndarray, bits: int, colour_type: int, *chunks: bytes) -> bytes:
    """Writes samples [H, W, C] as they are; `chunks` come before the pixels."""
    height, width = samples.shape[:2]
    # The highest bit comes first, and each row begins with a new byte and the number of its filter.
    places = np.arange(bits - 1, -1, -1)
    rows = np.packbits((samples.reshape(height, -1)[..., None] >> places & 1).reshape(height, -1), axis=1)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def png_kinds() -> Iterator[Kind]:
    """Yields every colour type with every depth, without transparency and with it."""
    for colour_type, depths in PNG_BITS.items():
        for bits in depths:
            for transparent in (False, True) if colour_type in (0, 2, 3) else (False,):
                title = f"PNG of type {colour_type}, {bits} bits{', tRNS' if transparent else ''}"
                yield _png_kind(title, colour_type, bits, transparent)


def _png_kind(title: str, colour_type: int, bits: int, transparent: bool) -> Kind:
    random = np.random.default_rng(10 * colour_type + bits)
    samples = random.integers(0, 2**bits, (HEIGHT, WIDTH, _SAMPLES[colour_type]))
    if colour_type == 3:
        palette = random.integers(0, 256, (2**bits, 4))
        palette[2 if transparent else 0 :, 3] = 255
        chunks = [chunk(b"PLTE", palette[:, :3].astype(np.uint8).tobytes())]
        # The alpha of the first two colours; the others are opaque.
        chunks += [chunk(b"tRNS", palette[:2, 3].astype(np.uint8).tobytes())] if transparent else []
        rgba = palette[samples[..., 0]] * 257
        return Kind(title, write_png(samples, bits, 3, *chunks), rgba, 4 if transparent else 3)
    levels = samples * 65535 // (2**bits - 1)
    alpha = levels[..., -1:] if colour_type in (4, 6) else np.full((HEIGHT, WIDTH, 1), 65535)
    chunks = []
    if transparent:
        key = samples[2, 3]  # Pixels of this level or colour are transparent.
        alpha = np.where((samples == key).all(-1, keepdims=True), 0, alpha)
        chunks = [chunk(b"tRNS", key.astype(">u2").tobytes())]
    colours = np.repeat(levels[..., :1], 3, -1) if colour_type in (0, 4) else levels[..., :3]
    channels = {0: 1 + transparent, 2: 3 + transparent, 4: 2, 6: 4}[colour_type]
    contents = write_png(samples, bits, colour_type, *chunks)
    return Kind(title, contents, np.concatenate([colours, alpha], -1), channels, bits == 16)


def picture(mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Draws a smooth picture, which JPEG keeps."""
    few = np.random.default_rng(seed).integers(40, 216, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(few).resize((WIDTH * 3, HEIGHT * 3), Image.Resampling.BICUBIC).convert(mode)


def save(image: Image.Image, file_format: str, **options: object) -> bytes:
    """Returns the contents of a file."""
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def _as_pillow_reads(title: str, contents: bytes, channels: int) -> Kind:
    with Image.open(io.BytesIO(contents)) as image:
        rgba = np.asarray(image.convert("RGBA")).astype(int) * 257
    return Kind(title, contents, rgba, channels)


def _bmp(bits: int, compression: int, header_bytes: int, pixels: bytes, extra: bytes = b"") -> bytes:
    """Writes a BMP of WIDTH x HEIGHT px whose header is followed by `extra`, such as a palette."""
    offset = 14 + header_bytes + len(extra)
    header = struct.pack("<IiiHHIIiiII", header_bytes, WIDTH, HEIGHT, 1, bits, compression, 0, 0, 0, 0, 0)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = (header + masks + bytes(124))[:header_bytes]
    return b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + header + extra + pixels


def other_kinds() -> Iterator[Kind]:
    """Yields the kinds of JPEG and BMP files that are read."""
    for title, mode, options in (
        ("gray", "L", {}),
        ("YCbCr", "RGB", {}),
        ("progressive", "RGB", {"progressive": True}),
        ("RGB", "RGB", {"keep_rgb": True}),
        ("CMYK with Adobe's marker", "CMYK", {}),
    ):
        contents = save(picture(mode), "JPEG", quality=95, **options)
        yield _as_pillow_reads(f"JPEG, {title}", contents, 1 if mode == "L" else 3)
    pixels = np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)
    for title, contents, channels in (
        ("gray", save(picture("L"), "BMP"), 1),
        ("24 bits", save(picture(), "BMP"), 3),
        ("32 bits", save(Image.fromarray(pixels), "BMP"), 3),
        ("32 bits with alpha", _bmp(32, 3, 108, pixels.tobytes()), 4),
        # A header of 124 bytes tells of an ICC profile, which lies behind the pixels.
        ("24 bits with a profile", _bmp(24, 0, 124, bytes(range(180)) + bytes(12) + b"profile"), 3),
    ):
        yield _as_pillow_reads(f"BMP, {title}", contents, channels)


def refused_kinds() -> Iterator[tuple[str, bytes, str]]:
    """Yields the title and the contents of whole files that are not read, and a part of the reason."""
    cmyk = save(picture("CMYK"), "JPEG")
    adobe = cmyk.index(b"\xff\xee")
    yield "CMYK without Adobe's marker", cmyk[:adobe] + cmyk[adobe + 16 :], "CMYK JPEG that does not tell"
    jpeg = save(picture(), "JPEG")
    frame = jpeg.index(b"\xff\xc0")
    yield "JPEG of 12 bits", jpeg[: frame + 4] + b"\x0c" + jpeg[frame + 5 :], "of more than 8 bits"
    yield "lossless JPEG", jpeg[: frame + 1] + b"\xc3" + jpeg[frame + 2 :], "lossless"
    yield "BMP with a palette", save(picture().convert("P"), "BMP"), "unusual BMP"
    yield "BMP of 1 bit", save(picture("1"), "BMP"), "unusual BMP"
    yield "BMP of 4 bits", _bmp(4, 0, 40, bytes(8 * HEIGHT), bytes(64)), "unusual BMP"
    yield "BMP with run lengths", _bmp(8, 1, 40, bytes(2 * HEIGHT) + b"\0\1", bytes(1024)), "unusual BMP"
    yield "BMP of 16 bits", _bmp(16, 0, 40, bytes(2 * WIDTH * HEIGHT)), "unusual BMP"


def damaged_files() -> Iterator[tuple[str, bytes]]:
    """Yields the title and the contents of files of which a part is missing or overwritten."""
    noise = np.random.default_rng(1).integers(0, 256, (24, 24, 3), np.uint8)
    smooth = Image.fromarray(noise).resize((96, 96), Image.Resampling.BICUBIC)
    for title, options in (("JPEG", {}), ("progressive JPEG", {"progressive": True})):
        contents = save(smooth, "JPEG", **options)
        kept = len(contents) * 7 // 10
        yield f"{title}, cut", contents[:kept]
        yield f"{title}, its end overwritten with zeros", contents[:kept] + bytes(len(contents) - kept)
        yield f"{title}, without its end mark", contents[:-2]
    contents = save(smooth, "JPEG")
    middle = len(contents) // 2
    yield "JPEG, zeros in its middle", contents[:middle] + bytes(200) + contents[middle + 200 :]
    contents = save(Image.fromarray(noise), "PNG")
    for share in (4, 7, 9):
        yield f"PNG, cut at {share}0 %", contents[: len(contents) * share // 10]
    yield "PNG, zeros in its middle", contents[:500] + bytes(99) + contents[599:]
    yield "BMP, cut", save(smooth, "BMP")[:20000]
