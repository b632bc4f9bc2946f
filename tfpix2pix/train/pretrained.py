"""A trained generator from wherever it is: a run, an export, a file of PyTorch, or the Hub."""

import json
from pathlib import Path

import keras

from tfpix2pix.config.config import make_config
from tfpix2pix.config.run_config import read_json
from tfpix2pix.export.names import CARD_FILE
from tfpix2pix.export.versions import find_version
from tfpix2pix.interop.fetching import fetch
from tfpix2pix.interop.torch_import import assign_weights, read_generator
from tfpix2pix.networks.build import build_generator
from tfpix2pix.networks.inference import generator_of
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.meaning import Meaning
from tfpix2pix.run.generator import load_generator
from tfpix2pix.run.splits import find_input_palette
from tfpix2pix.train.origin import load_keras, read_origin
from tfpix2pix.train.settings import find_origin_kind, split_origin


def from_pretrained(source: str | Path, sha256: str | None = None) -> keras.Model:
    """Returns a trained generator.

    Args:
      source: what `train --init_from` takes: folder of a run, of which the latest checkpoint counts, or
        `RUN:STEP` or `RUN:best`; folder of a SavedModel; a `.keras` file; a `.pth`, `.safetensors` or `.npz`
        file of the PyTorch reference. Or what is downloaded first, and kept: `hf://user/repo` of the Hugging
        Face Hub; the name of a model that the reference publishes, `edges2shoes`, `facades_label2photo`,
        `sat2map`, `map2sat` or `day2night`; the URL of a file.
      sha256: what the SHA-256 of a published model or of a URL must be, in hexadecimal digits.

    Returns:
      `[input_image, noise_seed] -> generated_image`, float32 [B, H, W, C] in [-1, 1]. The seed may be
      left out. The model of a `.keras` file takes what it took when it was saved; that of a `Pix2Pix` is its
      generator.

    Raises:
      UsageError: if there is no such thing.
      UserError: if it cannot be downloaded or read.
    """
    place = str(fetch(source, sha256))
    kind = find_origin_kind(place)
    path, checkpoint = split_origin(place)
    if kind == "run":
        return load_generator(path, checkpoint)[0]
    if kind == "torch":
        return read_generator(path)
    if kind == "saved_model":
        return _build_from_card(path)
    return generator_of(load_keras(path))


def _build_from_card(path: Path) -> keras.Model:
    """Builds the generator that the card of a SavedModel describes, with the weights of the SavedModel."""
    card_file = (find_version(path) or path) / CARD_FILE
    try:
        card = json.loads(card_file.read_text("utf-8"))
        if "config" not in card:
            raise UserError(
                f"{card_file} does not say how the generator is built, because export_saved_model was not "
                "given what a run knows of it, as `about`. tfpix2pix.Translator takes the folder as it is. "
                "To open the network here, write it with generator.save, and give that .keras file"
            )
        config = make_config(**read_json(json.dumps(card["config"])))
        meaning = Meaning.from_json(card.get("meaning"))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"{card_file} does not say how the generator is built ({error}); take the run that it was "
            "exported from"
        ) from error
    generator = build_generator(config, None, find_input_palette(config, meaning))
    try:
        assign_weights(generator, read_origin(path).generator)
    except ValueError as error:
        raise UserError(f"{path} holds another generator than its {CARD_FILE} says: {error}") from error
    return generator
