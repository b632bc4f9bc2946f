"""Shows a trained model as a Gradio page, for Colab and Hugging Face Spaces.

    python -m tfpix2pix.web.gradio_app --model=runs/facades
    python -m tfpix2pix.web.gradio_app --model=saved_models/facades --share

People give the page a picture, and it shows the translation. --share also opens it
under a public address, through a tunnel of Gradio's, for as long as the command runs.
The command needs the extra: pip install 'tfpix2pix[gradio]'. The page of
python -m tfpix2pix.web.demo, on which people draw, is for machines of one's own.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError, UserError

if TYPE_CHECKING:
    from PIL import Image

    from tfpix2pix.translate.translator import Translator

MAX_FILE_SIZE = "10mb"
# Number of channels -> what Pillow calls images that have so many.
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def build_app(model: "str | Path | Translator") -> Any:
    """Builds the page of a model.

    `from tfpix2pix.web.gradio_app import build_app; build_app("saved_models/facades").launch()` shows it in a
    notebook, and is all that the app.py of a Space needs.

    Args:
      model: a run, a SavedModel, or a `Translator` that has opened one.

    Returns:
      A `gradio.Interface`. Programs call its `/translate` with a picture and a noise seed.

    Raises:
      UsageError: when there is no such model, or browsers cannot show its images.
      UserError: when Gradio is not installed.
    """
    _check_package()
    command_line.import_tensorflow(whole=True)
    import gradio

    from tfpix2pix.translate.translator import Translator

    translator = model if isinstance(model, Translator) else Translator(model)
    if unknown := set(translator.task.picture_channels) - set(_MODES):
        raise UsageError(f"{translator.title} has images of {unknown.pop()} channels, which no browser shows")

    def translate(picture: "Image.Image | None", noise_seed: int | None = 0) -> "Image.Image":
        if picture is None:
            raise gradio.Error("Give a picture first.")
        return translate_picture(translator, picture, noise_seed or 0)

    return gradio.Interface(
        translate,
        [
            gradio.Image(type="pil", image_mode=None, format="png", label="input"),
            gradio.Number(0, precision=0, label="noise seed", info="Another seed gives another sample."),
        ],
        gradio.Image(type="pil", format="png", label="output"),
        title=translator.title,
        flagging_mode="never",
        analytics_enabled=False,
        api_name="translate",
    )


def translate_picture(translator: "Translator", picture: "Image.Image", noise_seed: int = 0) -> "Image.Image":
    """Returns the translation of a picture, at its size.

    Args:
      translator: the model.
      picture: in any mode of Pillow's. Of a gray picture, and of one with a palette, a model that was
        trained on class ids takes the numbers of its pixels for ids. Other pictures of 16 bits are brought to
        8 bits.
      noise_seed: any integer, of which the lower 32 bits count.
    """
    import numpy as np
    from PIL import Image

    side = translator.meaning.input
    is_deep = picture.mode.startswith("I")  # Pillow would make all from 255 on white.
    is_ids = side is not None and bool(side.ids) and (is_deep or picture.mode in ("L", "P"))
    if is_deep:
        numbers = np.clip(np.asarray(picture), 0, 65535)
        picture = Image.fromarray(
            numbers.astype(np.uint16) if is_ids else np.rint(numbers / 257).astype(np.uint8)
        )
    channels = translator.task.picture_channels[0]
    pixels = np.asarray(picture if is_ids else picture.convert(_MODES[channels]))
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    generated = translator(pixels, noise_seed)
    return Image.fromarray(generated[..., 0] if generated.shape[-1] == 1 else generated)


def _check_package() -> None:
    if importlib.util.find_spec("gradio") is None:
        raise UserError("the page needs gradio: pip install 'tfpix2pix[gradio]'")


def main(argv: Sequence[str]) -> None:
    """Parses flags, opens the model, serves until it is stopped."""
    values = _parse(argv)
    _check_package()
    command_line.import_tensorflow()
    from tfpix2pix.translate.translator import Translator

    build_app(Translator(values["model"], values["checkpoint"])).launch(
        share=values["share"],
        server_name=values["host"],
        server_port=values["port"],
        max_file_size=MAX_FILE_SIZE,
    )


def _parse(argv: Sequence[str]) -> dict[str, Any]:
    flag_values = command_line.new_flags()
    for name, default, text in (
        ("model", None, "Show the run or the SavedModel in this folder."),
        ("checkpoint", None, "Take this checkpoint of a run: latest, best or a step. Default: latest."),
        ("host", "127.0.0.1", "Listen on this name or IP address."),
    ):
        flags.DEFINE_string(name, default, text, flag_values=flag_values)
    flags.DEFINE_integer("port", 7860, "Listen on this port.", 1, 65535, flag_values=flag_values)
    text = "Open the page under a public address too, through a tunnel of Gradio's."
    flags.DEFINE_bool("share", False, text, flag_values=flag_values)
    values = command_line.read_flags(flag_values, __doc__ or "", argv)
    if not values["model"]:
        raise UsageError("--model is missing (--help lists the flags)")
    return values


if __name__ == "__main__":
    command_line.run(main)
