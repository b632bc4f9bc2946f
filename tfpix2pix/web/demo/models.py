"""The models that translate for the demo: one in this process, or one on a TensorFlow Serving."""

import logging
from collections.abc import Callable
from typing import Protocol

import numpy as np
import tensorflow as tf

from tfpix2pix.export.names import DEFAULT_SIGNATURE, LATENT, LATENT_VECTOR, SEEDED, WITH_INSTANCES
from tfpix2pix.networks.inference import sample_seed
from tfpix2pix.networks.latent import attach_latent
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.files.encoding import encode_png
from tfpix2pix.pipelines.files.headers_in_graph import has_too_many_scans, parse_header_in_graph
from tfpix2pix.pipelines.files.image_headers import JPEG_SCAN, JPEG_START, MAX_JPEG_SCANS
from tfpix2pix.pipelines.labels.label_files import decode_picture
from tfpix2pix.pipelines.tasks.transforms import to_uint8, to_unit_range
from tfpix2pix.serving.remote_model import RemoteModel, ServingError
from tfpix2pix.translate.translator import Translator
from tfpix2pix.web.demo.styles import Style, find_style

# The numbers of channels that a browser can send, and that it can show.
_IN, _OUT = (1, 3, 4), (1, 2, 3, 4)
_LOG = logging.getLogger("uvicorn.error")


class BadPictureError(Exception):
    """An input cannot be translated. The text is a sentence for the person who sent it."""


class UnavailableError(Exception):
    """The model cannot be asked now. The text is a sentence for the person who asked."""


class Painter(Protocol):
    """A model as the demo sees it. It is called by one thread at a time.

    Attributes:
      title: what the model is called, for people.
      max_pixels: the largest number of pixels of an input.
      has_noise: whether the seed of the noise matters; True until `warm_up` has found out.
      style: the latent vector, which `warm_up` finds; None where there is none, or it is not known.
      has_instances: whether the model takes ids of instances; False until `warm_up` has found out.
    """

    title: str
    max_pixels: int
    has_noise: bool
    style: Style | None
    has_instances: bool

    def translate(
        self,
        contents: bytes,
        noise_seed: int,
        samples: int,
        latent: np.ndarray | None = None,
        instances: bytes | None = None,
    ) -> list[bytes]:
        """Translates an image file into as many PNG files as samples are wanted.

        Args:
          contents: contents of a JPEG, PNG or BMP file.
          noise_seed: any integer, of which the lower 32 bits count.
          samples: number of outputs, at least 1.
          latent: the latent vector of all outputs, float32 [size]; None draws one for each.
          instances: contents of a PNG file of the ids of instances, gray with 8 or 16 bits; None without
            them.

        Raises:
          BadPictureError: when the file cannot be used.
          UnavailableError: when the model is on a server that does not answer.
        """

    def warm_up(self, size: tuple[int, int], example: bytes | None = None) -> None:
        """Translates a picture of (height, width) px with two seeds, so that nobody waits for compilation.

        Args:
          size: of the pictures that people make.
          example: such a picture, a PNG file, by which styles are compared; None takes random pixels.
        """


class _Painter:
    def __init__(self, title: str, max_pixels: int):
        self.title = title
        self.max_pixels = max_pixels
        self.has_noise, self.has_instances = True, False
        self.style: Style | None = None
        # Traced once, because reading the header of a JPEG is a loop.
        self._read_header = tf.function(
            parse_header_in_graph, [tf.TensorSpec([], tf.string)], autograph=False
        )

    def check(self, contents: bytes) -> None:
        """Raises BadPictureError if the header alone shows that a file cannot be used."""
        if not contents:
            raise BadPictureError("The file is empty.")
        problem, height, width, *_ = (value.numpy() for value in self._read_header(tf.constant(contents)))
        if problem or height < 1 or width < 1:
            raise BadPictureError("That is no JPEG, PNG or BMP image.")
        if int(height) * int(width) > self.max_pixels:
            raise BadPictureError(
                f"The image has {width} x {height} pixels, more than the {self.max_pixels:,} allowed."
            )
        # Few files may have too many, and to count bytes takes a small part of the time of the search.
        may_have = contents.startswith(JPEG_START) and contents.count(JPEG_SCAN) > MAX_JPEG_SCANS
        if may_have and has_too_many_scans(tf.constant(contents)):
            raise BadPictureError(f"The JPEG has more than {MAX_JPEG_SCANS} scans; save it anew.")

    def find_style(self, generate: Callable[[np.ndarray], np.ndarray], size: int) -> None:
        """Finds the style by what is made with single latent vectors: float32 [size] -> [H, W, C]."""
        self.style = find_style(lambda latents: np.stack(list(map(generate, latents))), size)


class LocalPainter(_Painter):
    """A `Painter` in this process.

    Args:
      translator: the model; its scale decides at which size photos go through the network.
      max_pixels: the largest number of pixels of an input.

    Raises:
      UsageError: when browsers cannot show the model's images.
    """

    def __init__(self, translator: Translator, max_pixels: int):
        super().__init__(translator.title, max_pixels)
        task = self._task = translator.task
        self._channels, channels_out = task.picture_channels
        if self._channels not in _IN or channels_out not in _OUT:
            raise UsageError(
                f"{translator.title} makes images of {channels_out} channels from {self._channels}, and no "
                "browser shows such images; python -m tfpix2pix.translate takes arrays"
            )
        self._side = translator.meaning.input
        self._generate = translator.generate_pictures
        self._latent_size = translator.latent_size
        self.has_instances = task.has_instances

    def translate(
        self,
        contents: bytes,
        noise_seed: int,
        samples: int,
        latent: np.ndarray | None = None,
        instances: bytes | None = None,
    ) -> list[bytes]:
        """Translates an image file, as `Painter` says."""
        self.check(contents)
        picture, seeds = self._decode(contents, instances), _stack_seeds(noise_seed, samples)
        if latent is not None:
            seeds = attach_latent(seeds, np.stack([latent] * samples))
        try:
            generated = self._generate(tf.stack([picture] * samples), seeds)
        except tf.errors.ResourceExhaustedError as error:
            raise BadPictureError("The image is too large for the memory there is.") from error
        return [encode_png(image).numpy() for image in to_uint8(generated)]

    def _decode(self, contents: bytes, instances: bytes | None = None) -> tf.Tensor:
        try:
            decoded = decode_picture(tf.constant(contents), self._channels, self._side)
            ids = self._decode_instances(instances, decoded)
            return self._task.add_instances(to_unit_range(decoded), ids)
        except (tf.errors.OpError, ValueError) as error:
            raise BadPictureError("The image is damaged or cut short.") from error

    def _decode_instances(self, contents: bytes | None, picture: tf.Tensor) -> tf.Tensor | None:
        """Returns ids in [-1, 1], float32 [H, W, 1]; None without them."""
        if contents is None or not self.has_instances:
            return None
        self.check(contents)
        ids = tf.io.decode_png(contents, channels=1, dtype=tf.uint16)
        if ids.shape[:2] != picture.shape[:2]:
            raise BadPictureError("The map of instances must be as large as the image.")
        return to_unit_range(ids, tf.uint16.max)

    def warm_up(self, size: tuple[int, int], example: bytes | None = None) -> None:
        """Translates a picture, as `Painter` says."""
        contents = _draw_picture(size, self._channels)
        self.has_noise = self.translate(contents, 0, 1) != self.translate(contents, 1, 1)
        if self._latent_size:
            picture = self._decode(example or contents)

            def generate(latent: np.ndarray) -> np.ndarray:
                seeds = attach_latent(_stack_seeds(0, 1), latent[None])
                return self._generate(picture[None], seeds)[0].numpy()

            self.find_style(generate, self._latent_size)


class RemotePainter(_Painter):
    """A `Painter` on a TensorFlow Serving.

    Args:
      url: URL of the server.
      name: name of the model on the server.
      max_pixels: the largest number of pixels of an input.

    Raises:
      UserError: when `url` is not the URL of a server, or a package is missing.
    """

    def __init__(self, url: str, name: str, max_pixels: int):
        super().__init__(f"{name} at {url}", max_pixels)
        self._model = RemoteModel(url, name, retries=1)

    def translate(
        self,
        contents: bytes,
        noise_seed: int,
        samples: int,
        latent: np.ndarray | None = None,
        instances: bytes | None = None,
    ) -> list[bytes]:
        """Translates an image file, as `Painter` says."""
        self.check(contents)
        maps = None
        if instances is not None and self.has_instances:
            self.check(instances)
            maps = [instances] * samples
        try:
            return self._ask(contents, noise_seed, samples, latent, maps)
        except ServingError as error:
            _LOG.warning("%s", error)
            if error.code == "INVALID_ARGUMENT":
                raise BadPictureError("The model refused the image; it may be damaged.") from error
            raise UnavailableError("The server that has the model does not answer.") from error

    def _ask(
        self,
        contents: bytes,
        noise_seed: int,
        samples: int,
        latent: np.ndarray | None = None,
        maps: list[bytes] | None = None,
    ) -> list[bytes]:
        images, numbers = [contents] * samples, range(samples)
        return self._model.translate(
            images, noise_seed=noise_seed, samples=numbers, latent=latent, instances=maps
        )

    def warm_up(self, size: tuple[int, int], example: bytes | None = None) -> None:
        """Translates a picture, as `Painter` says. Errors of the server pass as they are."""
        contents = _draw_picture(size, 3)
        self.has_noise = self._ask(contents, 0, 1) != self._ask(contents, 1, 1)
        signatures = self._model.read_signatures()
        self.has_instances = f"{DEFAULT_SIGNATURE}{WITH_INSTANCES}{SEEDED}" in signatures
        signature = signatures.get(DEFAULT_SIGNATURE + LATENT)
        shape = signature.inputs[LATENT_VECTOR].shape if signature else None
        if shape is None or not shape[1]:
            return

        def generate(latent: np.ndarray) -> np.ndarray:
            return (
                tf.io.decode_png(self._ask(example or contents, 0, 1, latent)[0]).numpy().astype(np.float32)
            )

        self.find_style(generate, shape[1])


def _stack_seeds(noise_seed: int, samples: int) -> tf.Tensor:
    return tf.stack([sample_seed(noise_seed, sample) for sample in range(samples)])


def _draw_picture(size: tuple[int, int], channels: int) -> bytes:
    """Returns a PNG file of random pixels. In a blank one, norms remove much of what the noise changes."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size, channels), np.uint8)
    return encode_png(pixels).numpy()
