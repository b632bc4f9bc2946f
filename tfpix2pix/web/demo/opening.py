"""Opens a demo: the model, here or on a server, what people make for it, and the application around both."""

from pathlib import Path

from fastapi import FastAPI

from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.translate.translator import Translator
from tfpix2pix.web.demo.about import Fact, describe_model, describe_translator
from tfpix2pix.web.demo.application import Limits, make_demo
from tfpix2pix.web.demo.input import (
    Origin,
    describe_input,
    origin_of_name,
    origin_of_translator,
    read_examples,
)
from tfpix2pix.web.demo.models import LocalPainter, Painter, RemotePainter


def open_demo(
    model: str | Path,
    *,
    checkpoint: str | int | None = None,
    serving_url: str | None = None,
    dataset: str | None = None,
    data_dir: str | None = None,
    palette: str | None = None,
    kind: str | None = None,
    examples: bool = True,
    limits: Limits | None = None,
    allowed_hosts: tuple[str, ...] = (),
) -> tuple[FastAPI, str]:
    """Opens a model and makes the demo of it.

    Args:
      model: folder of a run or SavedModel; with `serving_url`, the name of the model on that server.
      checkpoint: which checkpoint of a run: `latest` (the default), `best` or a step, 2 or "2".
      serving_url: URL of a TensorFlow Serving that has the model.
      dataset: name of the dataset that the model was trained on; None takes what the model says, or the
        model's own name.
      data_dir: folder that holds the dataset; None takes the one that a run knows, or `datasets`.
      palette: classes of label maps: the name of a dataset, or a JSON file; None takes those of the dataset.
      kind: what people make: `labels`, `lines`, `holes` or `photo`; None takes what the model needs.
      examples: whether examples of the validation split are offered.
      limits: limits of requests.
      allowed_hosts: names that browsers may know the server by, besides localhost and IP addresses.

    Returns:
      The application, and the title of the model.

    Raises:
      UsageError: when arguments do not go together, or the classes of label maps are not known.
      UserError: when the model cannot be opened or asked.
    """
    limits = limits or Limits()
    chosen = {name: text for name, text in (("dataset", dataset), ("data_dir", data_dir)) if text}
    if serving_url is None:
        painter, origin, card = _open_local(model, checkpoint, limits.max_pixels, chosen)
    elif checkpoint is not None:
        raise UsageError("`checkpoint` is for a run; `serving_url` names a server, which chose its own")
    else:
        painter = RemotePainter(serving_url, str(model), limits.max_pixels)
        origin = origin_of_name(str(model), **chosen)
        card = describe_model(str(model), origin)
    sheet = describe_input(origin, kind, palette)
    _check_max_pixels(limits.max_pixels, sheet.size)
    offered = read_examples(origin, sheet) if examples else ()
    painter.warm_up(sheet.size, offered[0].contents if offered else None)
    return make_demo(painter, sheet, offered, limits, allowed_hosts, card), painter.title


def _open_local(
    model: str | Path, checkpoint: str | int | None, max_pixels: int, chosen: dict[str, str]
) -> tuple[Painter, Origin, tuple[Fact, ...]]:
    translator = Translator(model, checkpoint)
    origin = origin_of_translator(translator, **chosen)
    return (
        LocalPainter(translator, max_pixels),
        origin,
        describe_translator(translator, translator.workdir, origin),
    )


def _check_max_pixels(max_pixels: int, size: tuple[int, int]) -> None:
    height, width = size
    if max_pixels < height * width:
        raise UsageError(
            f"`max_pixels` must be at least {height * width}, as the model was made for {height}x{width} px. "
            f"Received: {max_pixels}"
        )
