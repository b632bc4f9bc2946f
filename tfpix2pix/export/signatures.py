"""Builds the signatures of a servable, which take files, integers or floats and return the same.

None of them assigns anything.
"""

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf

from tfpix2pix.export.names import (
    DEFAULT_SIGNATURE,
    FLOAT32,
    GENERATED_IMAGE,
    IMAGE_BYTES,
    INPUT_IMAGE,
    INSTANCE_BYTES,
    INSTANCE_IDS,
    LATENT,
    LATENT_VECTOR,
    NOISE_SEED,
    SEEDED,
    UINT8,
    UINT16,
    WITH_INSTANCES,
)
from tfpix2pix.export.request_checks import (
    check_file,
    check_images,
    check_instance_file,
    check_instance_ids,
    check_latents,
    check_seeds,
)
from tfpix2pix.networks.inference import (
    Generate,
    cast_kernels,
    compile_generator,
    sample_seed,
    silence,
)
from tfpix2pix.networks.latent import DrawLatent, attach_latent, find_latent, settle_latent
from tfpix2pix.networks.scale import Scale, translate_pictures
from tfpix2pix.pipelines.files.decoding import decode_image, decode_png
from tfpix2pix.pipelines.files.encoding import encode_png
from tfpix2pix.pipelines.files.headers_in_graph import find_orientation_in_graph
from tfpix2pix.pipelines.files.orientation import turn_in_graph
from tfpix2pix.pipelines.labels.label_files import decode_picture
from tfpix2pix.pipelines.meaning import UNKNOWN, Meaning, Side
from tfpix2pix.pipelines.tasks.tasks import Task
from tfpix2pix.pipelines.tasks.transforms import to_uint8, to_uint16, to_unit_range

MAX_PIXELS = 2**24

# (the inputs of a signature but for noise_seed, noise_seed) -> output.
Run = Callable[..., tf.Tensor]
_SEEDS = tf.TensorSpec([None, 2], tf.int32, name=NOISE_SEED)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contract:
    """What a servable promises.

    Attributes:
      task: the task, whose pictures the files and integers of requests are.
      noise: the noise of requests without a seed: `fixed`, `random`, or `off`, with which the dropout drops
        nothing.
      noise_seed: seed of the noise, if it is `fixed`.
      max_pixels: the largest number of pixels of an image.
      scale: the size at which files go through the network. Arrays always keep their size.
      meaning: what the pictures of files stand for.
    """

    task: Task
    noise: str = "fixed"
    noise_seed: int = 0
    max_pixels: int = MAX_PIXELS
    scale: Scale = Scale()
    meaning: Meaning = UNKNOWN


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """One signature.

    Attributes:
      function: function of the tensors that `inputs` describes.
      inputs: name, type and shape of each input.
      output: name of the output.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: tuple[tf.TensorSpec, ...]
    output: str


def takes_files(task: Task) -> bool:
    """Returns whether the pictures of a task have as many channels as PNG files can have."""
    return all(channels in (1, 2, 3, 4) for channels in task.picture_channels)


def build_endpoints(generator: keras.Model, contract: Contract) -> dict[str, Endpoint]:
    """Builds the signatures that a generator can have.

    Args:
      generator: `[input_image, noise_seed] -> generated_image`.
      contract: what the servable promises.

    Returns:
      Name of the signature -> endpoint.
    """
    generator = cast_kernels(generator)
    translators = _build_translators(generator, contract)
    unseeded = translators
    if contract.noise == "off":
        unseeded = _build_translators(silence(generator), contract)
    endpoints, latent = {}, find_latent(generator)
    for name, translator in translators.items():
        endpoints[name] = _unseeded(unseeded[name], contract)
        endpoints[name + SEEDED] = _seeded(translator)
        if latent is not None:
            endpoints[name + LATENT] = _with_latent(translator, latent)
    return endpoints


@dataclasses.dataclass(frozen=True)
class _Translator:
    """What a signature without a seed and the one with a seed share."""

    given: tuple[tf.TensorSpec, ...]
    output: str
    run: Run


def _build_translators(generator: keras.Model, contract: Contract) -> dict[str, _Translator]:
    """Returns name of the signature -> translator."""
    generate, latent = compile_generator(generator), find_latent(generator)
    task = contract.task
    floats = (_image_spec(task.channels[0], tf.float32),)
    arrays = {FLOAT32: _Translator(floats, GENERATED_IMAGE, _run_floats(generate, contract))}
    for name, dtype, to_integers in ((UINT8, tf.uint8, to_uint8), (UINT16, tf.uint16, to_uint16)):
        spec = _image_spec(task.picture_channels[0], dtype)
        arrays[name] = _Translator((spec,), GENERATED_IMAGE, _run_integers(generate, contract, to_integers))
    if takes_files(task):
        spec = tf.TensorSpec([None], tf.string, name=IMAGE_BYTES)
        default = _Translator((spec,), IMAGE_BYTES, _run_files(generate, contract))
    else:
        default = arrays[FLOAT32]
    translators = {DEFAULT_SIGNATURE: default, **arrays}
    if task.has_instances:
        translators |= {
            name + WITH_INSTANCES: dataclasses.replace(each, given=(*each.given, _instance_spec(each)))
            for name, each in translators.items()
            if each.given != floats
        }
    return {
        name: dataclasses.replace(each, run=_trace(each.run, each.given, latent))
        for name, each in translators.items()
    }


def _instance_spec(translator: _Translator) -> tf.TensorSpec:
    if translator.output == IMAGE_BYTES:
        return tf.TensorSpec([None], tf.string, name=INSTANCE_BYTES)
    return tf.TensorSpec([None, None, None], tf.int32, name=INSTANCE_IDS)


def _trace(run: Run, given: tuple[tf.TensorSpec, ...], latent: DrawLatent | None) -> Run:
    """Compiles what several signatures share, so that it is in the file once.

    It is traced here, once: TensorFlow traces what is not concrete again for each signature that it saves.
    """
    seeds = tf.TensorSpec([None, None], tf.int32, name=NOISE_SEED) if latent else _SEEDS

    def run_settled(*inputs: tf.Tensor) -> tf.Tensor:
        *given, noise_seed = inputs
        # Before an image goes through in windows, which share its latent vector.
        return run(*given, settle_latent(noise_seed, latent) if latent else noise_seed)

    traced = tf.function(run_settled, [*given, seeds], autograph=False).get_concrete_function()

    # What is traced does not keep the variables of its network, which may be a copy that nobody else keeps.
    def call(*inputs: tf.Tensor, _variables_kept_alive: Run = run) -> tf.Tensor:
        return traced(*inputs)

    return call


def _image_spec(channels: int, dtype: tf.DType) -> tf.TensorSpec:
    return tf.TensorSpec([None, None, None, channels], dtype, name=INPUT_IMAGE)


def _seeded(translator: _Translator) -> Endpoint:
    def translate(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        *given, noise_seed = inputs
        noise_seed = check_seeds(noise_seed, tf.shape(given[0])[0])
        return {translator.output: translator.run(*given, noise_seed)}

    return Endpoint(translate, (*translator.given, _SEEDS), translator.output)


def _with_latent(translator: _Translator, layer: DrawLatent) -> Endpoint:
    def translate(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        *given, noise_seed, latent = inputs
        count = tf.shape(given[0])[0]
        noise_seed, latent = check_seeds(noise_seed, count), check_latents(latent, count, layer.size)
        return {translator.output: translator.run(*given, attach_latent(noise_seed, latent))}

    latents = tf.TensorSpec([None, layer.size], tf.float32, name=LATENT_VECTOR)
    return Endpoint(translate, (*translator.given, _SEEDS, latents), translator.output)


def _unseeded(translator: _Translator, contract: Contract) -> Endpoint:
    fixed_seed = sample_seed(contract.noise_seed)

    def translate(*given: tf.Tensor) -> dict[str, tf.Tensor]:
        shape = tf.stack([tf.shape(given[0])[0], 2])
        if contract.noise == "random":
            # `tf.random.uniform` will not do: after `tf.random.set_seed` its seed would be part of the
            # graph, and every server would begin with the same noise. Here the system draws the seed.
            noise_seed = tf.raw_ops.RandomUniformInt(shape=shape, minval=-(2**31), maxval=2**31 - 1)
        else:
            noise_seed = tf.broadcast_to(fixed_seed, shape)
        return {translator.output: translator.run(*given, noise_seed)}

    return Endpoint(translate, translator.given, translator.output)


def _run_floats(generate: Generate, contract: Contract) -> Run:
    def run(input_image: tf.Tensor, noise_seed: tf.Tensor) -> tf.Tensor:
        return generate(check_images(input_image, input_image.shape[-1], contract.max_pixels), noise_seed)

    return run


def _run_integers(
    generate: Generate, contract: Contract, to_integers: Callable[[tf.Tensor], tf.Tensor]
) -> Run:
    generate_pictures = translate_pictures(contract.task, generate)

    def run(input_image: tf.Tensor, *others: tf.Tensor) -> tf.Tensor:
        *instances, noise_seed = others
        images = check_images(input_image, input_image.shape[-1], contract.max_pixels)
        pictures = to_unit_range(images, images.dtype.max)
        for ids in instances:
            checked = check_instance_ids(ids, tf.shape(images)[:3])
            pictures = contract.task.add_instances(pictures, to_unit_range(checked[..., None], tf.uint16.max))
        return to_integers(generate_pictures(pictures, noise_seed))

    return run


def _run_files(generate: Generate, contract: Contract) -> Run:
    generate_pictures = translate_pictures(contract.task, generate, contract.scale)
    channels, target = contract.task.picture_channels[0], contract.meaning.target

    def translate_file(elements: tuple[tf.Tensor, ...]) -> tf.Tensor:
        place, seed, contents, *instances = elements
        contents, is_deep = check_file(contents, place, channels, contract.max_pixels)
        picture = _read_picture(contents, is_deep, channels, contract.meaning.input)
        for file in instances:
            checked = check_instance_file(file, place, tf.shape(picture)[:2])
            ids = decode_image(checked, 1, tf.uint16, exif=False)
            picture = contract.task.add_instances(picture, to_unit_range(ids, tf.uint16.max))
        generated = generate_pictures(picture[None], seed[None])[0]
        # The output has the depth of the training's targets, or of the input where that is not known.
        return tf.cond(
            is_deep if target is None else tf.constant(target.dtype != "uint8"),
            lambda: encode_png(to_uint16(generated)),
            lambda: encode_png(to_uint8(generated)),
        )

    def run(image_bytes: tf.Tensor, *others: tf.Tensor) -> tf.Tensor:
        *instances, noise_seed = others
        # Files are translated one by one, because each may have a size of its own.
        elements = (tf.range(tf.shape(image_bytes)[0]), noise_seed, image_bytes, *instances)
        return tf.map_fn(translate_file, elements, fn_output_signature=tf.string)

    return run


def _read_picture(contents: tf.Tensor, is_deep: tf.Tensor, channels: int, side: Side | None) -> tf.Tensor:
    """Returns the picture of a file, float32 [H, W, channels]; class ids become colours of 8 bits."""
    if side and side.ids:
        return to_unit_range(decode_picture(contents, channels, side))
    # Only PNG files are deep. The other branch reads all kinds; a second copy of it would double the graph.
    picture = tf.cond(
        is_deep,
        lambda: to_unit_range(decode_png(contents, channels, tf.uint16), tf.uint16.max),
        lambda: to_unit_range(decode_image(contents, channels, exif=False)),
    )
    return turn_in_graph(picture, find_orientation_in_graph(contents))
