"""Serves a page on which people draw, or bring a photo, and watch it become a picture.

    python -m tfpix2pix.web.demo --model=runs/facades
    python -m tfpix2pix.web.demo --model=saved_models/facades
    python -m tfpix2pix.web.demo --serving_url=http://127.0.0.1:8501 --model=facades

The URL is printed when the page can be opened. The page offers what the model takes:
a canvas with the classes of its label maps, a canvas with a pen, or a place for
photos. Where the dataset is on disk, it offers examples of the validation split too.
The command needs the extra: pip install 'tfpix2pix[web]'. Without --host=0.0.0.0 the
page can be opened on this machine alone.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from absl import flags

from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.web.address import check_packages, define_address_flags, open_socket, read_address

KINDS = ("labels", "lines", "holes", "photo")
PORT = 8080


def main(argv: Sequence[str]) -> None:
    """Parses flags, opens the model, serves until it is stopped."""
    values = _parse(argv)
    check_packages()
    address = read_address(values)
    with open_socket(address) as listening:
        command_line.import_tensorflow()
        from tfpix2pix.web import server
        from tfpix2pix.web.demo.application import Limits
        from tfpix2pix.web.demo.opening import open_demo

        app, title = open_demo(
            values["model"],
            checkpoint=values["checkpoint"],
            serving_url=values["serving_url"],
            dataset=values["dataset"],
            data_dir=values["data_dir"],
            palette=values["palette"],
            kind=values["input"],
            examples=values["examples"],
            limits=Limits(**{field.name: values[field.name] for field in dataclasses.fields(Limits)}),
            allowed_hosts=address.allowed_hosts,
        )
        server.serve(app, address, listening, title)


def _parse(argv: Sequence[str]) -> dict[str, Any]:
    flag_values = command_line.new_flags()
    _define_flags(flag_values)
    remote = ("model", "data_dir")
    values = command_line.read_flags(flag_values, __doc__ or "", argv, takes_remote=remote)
    if not values["model"]:
        raise UsageError("--model is missing (--help lists the flags)")
    return values


def _define_flags(flag_values: flags.FlagValues) -> None:
    for name, text in (
        (
            "model",
            "Open the run or SavedModel in this folder. With --serving_url, this is the name of the model on "
            "that server.",
        ),
        ("checkpoint", "Take this checkpoint of a run: latest, best or a step. Default: latest."),
        (
            "serving_url",
            "Ask the TensorFlow Serving at this URL: http(s)://HOST:8501 or grpc(s)://HOST:8500.",
        ),
        (
            "dataset",
            "Say that the model was trained on this dataset. Default: what the model says, or else its name.",
        ),
        (
            "data_dir",
            "Take examples from the dataset in this folder. Default: the run's folder of data, or datasets.",
        ),
        (
            "palette",
            "Offer these classes of label maps: those of a dataset, by its name, or of a JSON file. "
            "Default: those of the model's dataset.",
        ),
    ):
        flags.DEFINE_string(name, None, text, flag_values=flag_values)
    flags.DEFINE_enum(
        "input",
        None,
        KINDS,
        "Let people draw label maps (labels) or lines, or bring a photo, whole or with holes to cut. "
        "Default: what the model needs.",
        flag_values=flag_values,
    )
    flags.DEFINE_bool("examples", True, "Offer examples of the validation split.", flag_values=flag_values)
    _define_limits(flag_values)
    define_address_flags(flag_values, PORT)


def _define_limits(flag_values: flags.FlagValues) -> None:
    for name, number, text in (
        ("max_bytes", 10_000_000, "Refuse uploaded files of more bytes than this."),
        ("max_pixels", 2**20, "Refuse inputs of more pixels than this, before they are decoded."),
        ("max_waiting", 8, "Let this many requests wait for the model, and tell others that it is busy."),
    ):
        flags.DEFINE_integer(name, number, text, 1, flag_values=flag_values)
    flags.DEFINE_float(
        "requests_per_sec",
        4.0,
        "Answer this many requests a second of each page, and ten times as many of each address, in the "
        "long run.",
        0.01,
        1e6,
        flag_values=flag_values,
    )


if __name__ == "__main__":
    command_line.run(main)
