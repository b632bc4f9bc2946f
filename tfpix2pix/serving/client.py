"""Translates image files with a model on a running TensorFlow Serving.

    python -m tfpix2pix.serving.client --model=facades --input=photos --output=out
    python -m tfpix2pix.serving.client --url=grpc://HOST:8500 --model=facades --input='*.jpg' --output=out

Each output is a PNG file with its input's name and subfolder, as tfpix2pix.translate
writes them. TIFF, WebP and GIF files and arrays of integers are sent as PNG files, because
servers do not decode them. Throughput and latencies are printed at the end. An image that the server
refuses is named, and the others are translated. The command waits for a server that
is away for a few seconds. gRPC needs the extra tfpix2pix[serving]; REST needs nothing.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from tfpix2pix.export.names import DEFAULT_SIGNATURE
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.places import check_url, copy_of, name_urls
from tfpix2pix.pipelines.base.progress import say, warn
from tfpix2pix.pipelines.remote.outputs import OutputFolder
from tfpix2pix.serving.files import name_output, summarize, translate_files
from tfpix2pix.serving.remote_model import RemoteModel
from tfpix2pix.translate.image_inputs import find_files, list_outputs
from tfpix2pix.translate.options import CROPS
from tfpix2pix.translate.shard_inputs import list_sharded


def main(argv: Sequence[str]) -> None:
    """Parses flags, finds the images, translates them, prints how long it took."""
    values = _parse(argv)
    check_url(values["output"], "output", writes=True)
    output, version = copy_of(values["output"], written=True), values["version"]
    found = list_sharded(values["input"])
    found = found or find_files(values["input"], output, lambda file: list_outputs(file.name))
    there = OutputFolder(output)
    files = [file for file in found if not (values["resume"] and there.has(name_output(file)))]
    if len(files) < len(found):
        say(f"{len(found) - len(files)} of {len(found)} outputs are in {output} already and stay as they are")
    with RemoteModel(
        values["url"],
        values["model"],
        int(version) if version and version.isdecimal() else version,
        timeout_sec=values["timeout_sec"],
        retries=values["retries"],
        headers=_read_token(values["token_file"]),
        notify=warn,
    ) as model:
        outcome = translate_files(
            model,
            files,
            output,
            signature=values["signature"],
            noise_seed=values["noise_seed"],
            concurrency=values["concurrency"],
            instances=Path(values["instances"]) if values["instances"] else None,
            crop=values["crop"],
        )
    print(summarize(outcome.latencies_sec, outcome.elapsed_sec))
    if outcome.failed:
        raise UserError(f"{outcome.failed} of {count_of(len(files), 'image')} could not be translated")
    print(name_urls(f"outputs: {output}"))


def _parse(argv: Sequence[str]) -> dict[str, Any]:
    flag_values = command_line.new_flags()
    _define_flags(flag_values)
    remote = ("input", "output")
    values = command_line.read_flags(flag_values, __doc__ or "", argv, takes_remote=remote)
    for name in ("model", "input", "output"):
        if not values[name]:
            raise UsageError(f"--{name} is missing (--help lists the flags)")
    if values["instances"] and not Path(values["instances"]).is_dir():
        raise UsageError(f"--instances takes a folder of maps. Received: {values['instances']}")
    return values


def _define_flags(flag_values: flags.FlagValues) -> None:
    for name, default, text in (
        (
            "url",
            "http://127.0.0.1:8501",
            "Ask the server at this address: http(s)://HOST:PORT, or grpc(s)://HOST:PORT.",
        ),
        ("model", None, "Translate with the model of this name on the server."),
        ("version", None, "Take the version of this number or label. Default: the newest."),
        ("signature", DEFAULT_SIGNATURE, "Call this signature, which must take image files."),
        (
            "input",
            None,
            "Translate this image, the images of this folder, or those of a pattern in quotes.",
        ),
        (
            "instances",
            None,
            "Send the map of instances of its name in this folder with each image, for a model with "
            "--boundaries. Default: the classes are the instances.",
        ),
        ("output", None, "Write the outputs to this folder."),
        (
            "token_file",
            None,
            "Send the bearer token in this file of one line, for a gateway that asks for one.",
        ),
    ):
        flags.DEFINE_string(name, default, text, flag_values=flag_values)
    _define_numbers(flag_values)


def _define_numbers(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_bool(
        "resume", False, "Leave out images whose outputs exist already.", flag_values=flag_values
    )
    flags.DEFINE_enum(
        "crop",
        None,
        CROPS,
        "Send this half of each image, which is a side-by-side pair, or send images whole (none). Default: "
        "none, with a note where an image is twice as wide as high.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "noise_seed",
        None,
        "Draw the noise from this seed. Another seed gives other outputs. Default: the server's noise.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "concurrency", 4, "Send this many requests at once.", 1, 1024, flag_values=flag_values
    )
    flags.DEFINE_float(
        "timeout_sec", 60.0, "Give up an attempt after this many seconds.", 0.001, flag_values=flag_values
    )
    flags.DEFINE_integer(
        "retries",
        6,
        "Try again this many times where no server answers.",
        0,
        flag_values=flag_values,
    )


def _read_token(file: str | None) -> dict[str, str]:
    if file is None:
        return {}
    try:
        token = Path(file).read_text("utf-8-sig").strip()  # Windows marks files with a BOM.
    except OSError as error:
        raise UsageError(f"--token_file={file} cannot be read: {error.strerror}") from error
    except UnicodeError:
        token = ""
    if not re.fullmatch(r"[ -~]+", token):
        # The text shows nothing of what the file holds, which may be secret.
        raise UsageError(
            f"--token_file={file}: the file must hold one line, the token, of printable ASCII characters"
        )
    return {"Authorization": f"Bearer {token}"}


if __name__ == "__main__":
    command_line.run(main)
