"""Serves a page on which people draw, or bring a photo, and watch it become a picture.

    python -m tfpix2pix.web.demo --model=runs/facades
    python -m tfpix2pix.web.demo --model=saved_models/facades
    python -m tfpix2pix.web.demo --serving_url=http://127.0.0.1:8501 --model=facades

The URL is printed when the page can be opened. It shows what the model's inputs are:
a canvas with the classes of its label maps by name, one with a pen, or a place for
photos; and examples of the validation split where the dataset is at hand. Needs
the extra: pip install 'tfpix2pix[web]'. Without --host=0.0.0.0 the page is for this
machine alone.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.web.address import check_packages, define_address_flags, open_socket, read_address

if TYPE_CHECKING:
    from tfpix2pix.web.demo.input import Origin
    from tfpix2pix.web.demo.models import Painter

KINDS = ("labels", "lines", "holes", "photo")
PORT = 8080


def main(argv: Sequence[str]) -> None:
    """Parses flags, opens the model, serves until it is stopped."""
    flag_values = _define_flags()
    command_line.refuse_arguments(command_line.parse_flags(flag_values, __doc__ or "", argv))
    values = flag_values.flag_values_dict()
    if not values["model"]:
        raise UsageError("--model is missing (--help lists the flags)")
    check_packages()
    address = read_address(values)
    with open_socket(address) as listening:
        command_line.import_tensorflow()
        from tfpix2pix.web import server
        from tfpix2pix.web.demo.application import Limits, make_demo
        from tfpix2pix.web.demo.input import (
            describe_input,
            read_examples,
        )

        painter, origin = _open_model(values)
        sheet = describe_input(origin, values["input"], values["palette"])
        _check_max_pixels(values["max_pixels"], sheet.size)
        examples = read_examples(origin, sheet) if values["examples"] else ()
        painter.warm_up(sheet.size)
        limits = Limits(
            values["max_bytes"], values["max_pixels"], values["max_waiting"], values["requests_per_sec"]
        )
        app = make_demo(painter, sheet, examples, limits, address.allowed_hosts)
        server.serve(app, address, listening, painter.title)


def _define_flags() -> flags.FlagValues:
    flag_values = command_line.new_flags()
    for name, default, text in (
        ("model", None, "folder of a run or of a SavedModel; with --serving_url, its name on that server"),
        ("checkpoint", None, "of a run: latest, best or a step (default latest)"),
        ("serving_url", None, "of a TensorFlow Serving: http(s)://HOST:8501 or grpc(s)://HOST:8500"),
        ("dataset", None, "what the model was trained on (default: as the model says, or its name)"),
        (
            "data_dir",
            None,
            "folder that holds the dataset, for examples (default: as the run's, or datasets)",
        ),
        ("palette", None, "classes of label maps: a dataset's name or a JSON file (default: the dataset's)"),
    ):
        flags.DEFINE_string(name, default, text, flag_values=flag_values)
    flags.DEFINE_enum(
        "input", None, KINDS, "what people make (default: as the model needs)", flag_values=flag_values
    )
    flags.DEFINE_bool("examples", True, "offer examples of the validation split", flag_values=flag_values)
    for name, number, text in (
        ("max_bytes", 10_000_000, "of an uploaded file"),
        ("max_pixels", 2**20, "of an input, known from its header before it is decoded"),
        ("max_waiting", 8, "requests that wait for the model; others are told that it is busy"),
    ):
        flags.DEFINE_integer(name, number, text, 1, flag_values=flag_values)
    flags.DEFINE_float(
        "requests_per_sec", 4.0, "of one client, in the long run", 0.01, 1e6, flag_values=flag_values
    )
    define_address_flags(flag_values, PORT)
    return flag_values


def _check_max_pixels(max_pixels: int, size: tuple[int, int]) -> None:
    height, width = size
    if max_pixels < height * width:
        raise UsageError(
            f"--max_pixels must be at least {height * width}, as the model was made for {height}x{width} px. "
            f"Received: {max_pixels}"
        )


def _open_model(values: dict[str, Any]) -> "tuple[Painter, Origin]":
    from tfpix2pix.web.demo.input import origin_of_name
    from tfpix2pix.web.demo.models import RemotePainter

    chosen = {name: values[name] for name in ("dataset", "data_dir") if values[name]}
    if not values["serving_url"]:
        return _open_local(values, chosen)
    if values["checkpoint"]:
        raise UsageError("--checkpoint is for a run; --serving_url names a server that chose its own")
    painter = RemotePainter(values["serving_url"], values["model"], values["max_pixels"])
    return painter, origin_of_name(values["model"], **chosen)


def _open_local(values: dict[str, Any], chosen: dict[str, str]) -> "tuple[Painter, Origin]":
    from tfpix2pix.translate.translator import Translator
    from tfpix2pix.web.demo.input import origin_of_translator
    from tfpix2pix.web.demo.models import LocalPainter

    translator = Translator(values["model"], values["checkpoint"])
    origin = origin_of_translator(translator, **chosen)
    return LocalPainter(translator, values["max_pixels"]), origin


if __name__ == "__main__":
    command_line.run(main)
