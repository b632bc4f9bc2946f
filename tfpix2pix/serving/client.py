"""Translates image files with a model on a running TensorFlow Serving.

    python -m tfpix2pix.serving.client --model=facades --input=photos --output=out
    python -m tfpix2pix.serving.client --url=grpc://HOST:8500 --model=facades --input='*.jpg' --output=out

Every output is a PNG with its input's name and subfolder, as from
tfpix2pix.translate. Throughput and latencies are printed at the end. An image that
the server refuses is named, and the others are done; a server that is away for a
few seconds is waited for. gRPC needs the extra tfpix2pix[serving]; REST nothing.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from absl import flags

from tfpix2pix.export.names import DEFAULT_SIGNATURE
from tfpix2pix.pipelines.base import command_line, staging
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.progress import show_progress, warn
from tfpix2pix.serving.remote_model import RemoteModel, ServingError
from tfpix2pix.translate.image_inputs import check_outputs, find_inputs, name_outputs

PERCENTILES = (50, 90, 99)
# Codes that say something of one image; any other would meet all of them.
_OF_ONE_IMAGE = ("INVALID_ARGUMENT", "OUT_OF_RANGE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL")


class _RefusedError(UserError):
    """One image could not be translated."""


def main(argv: Sequence[str]) -> None:
    """Parses flags, finds the images, translates them, prints how long it took."""
    flag_values = _define_flags()
    command_line.refuse_arguments(command_line.parse_flags(flag_values, __doc__ or "", argv))
    values = flag_values.flag_values_dict()
    for name in ("model", "input", "output"):
        if not values[name]:
            raise UsageError(f"--{name} is missing (--help lists the flags)")
    output = Path(values["output"])
    root, files = find_inputs(values["input"], output)
    names = name_outputs([file.relative_to(root) for file in files])
    outputs = {file: output / f"{name}.png" for file, name in zip(files, names, strict=True)}
    check_outputs(files, outputs.values())
    version = values["version"]
    with RemoteModel(
        values["url"],
        values["model"],
        int(version) if version and version.isdecimal() else version,
        timeout_sec=values["timeout_sec"],
        retries=values["retries"],
        headers=_read_token(values["token_file"]),
        notify=warn,
    ) as model:
        job = _Job(model, values["signature"], values["noise_seed"])
        job.run(outputs, values["concurrency"])
    print(f"outputs: {output}")


def _define_flags() -> flags.FlagValues:
    flag_values = command_line.new_flags()
    for name, default, text in (
        ("url", "http://127.0.0.1:8501", "of the server: http(s)://HOST:PORT, or grpc(s)://HOST:PORT"),
        ("model", None, "its name on the server"),
        ("version", None, "a number or a label (default: the newest)"),
        ("signature", DEFAULT_SIGNATURE, "one that takes image files"),
        ("input", None, "an image, a folder, or a pattern in quotes"),
        ("output", None, "folder for the outputs"),
        ("token_file", None, "file with a bearer token, for a gateway that asks for one"),
    ):
        flags.DEFINE_string(name, default, text, flag_values=flag_values)
    flags.DEFINE_integer(
        "noise_seed", None, "another one gives other outputs (default: the server's)", flag_values=flag_values
    )
    flags.DEFINE_integer("concurrency", 4, "requests at once", 1, 1024, flag_values=flag_values)
    flags.DEFINE_float("timeout_sec", 60.0, "that an attempt may take", 0.001, flag_values=flag_values)
    flags.DEFINE_integer("retries", 6, "attempts more, where no server answers", 0, flag_values=flag_values)
    return flag_values


def _read_token(file: str | None) -> dict[str, str]:
    if file is None:
        return {}
    try:
        return {"Authorization": f"Bearer {Path(file).read_text().strip()}"}
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--token_file={file} cannot be read: {error}") from error


class _Job:
    """One call of the command: what to do with each file."""

    def __init__(self, model: RemoteModel, signature: str, noise_seed: int | None):
        self.model = model
        self.signature = signature
        self.noise_seed = noise_seed

    def run(self, outputs: Mapping[Path, Path], concurrency: int) -> None:
        """Translates each file to its output; prints a summary.

        Raises:
          UserError: when an image could not be translated, or none can be.
        """
        self.model.read_signatures()  # a server or model that is not there is said once
        start, latencies = time.perf_counter(), []
        pool = ThreadPoolExecutor(concurrency)
        try:
            tasks = [pool.submit(self._translate_file, *pair) for pair in outputs.items()]
            with show_progress("translating", len(tasks), "images") as bar:
                for task in as_completed(tasks):
                    try:
                        latencies.append(task.result())
                    except _RefusedError as error:
                        bar.write(f"error: {error}", file=sys.stderr)
                    bar.update()
        except BaseException as error:
            self.model.close()  # what other threads wait for is of no use any more
            if isinstance(error, ServingError):
                raise UserError(f"{error}. {len(latencies)} of {len(tasks)} images are done") from error
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        print(summarize(latencies, time.perf_counter() - start))
        if len(latencies) < len(tasks):
            raise UserError(f"{len(tasks) - len(latencies)} of {len(tasks)} images could not be translated")

    def _translate_file(self, file: Path, output: Path) -> float:
        """Returns the seconds between request and answer."""
        try:
            contents = file.read_bytes()
        except OSError as error:
            raise _RefusedError(f"{file} cannot be read: {error.strerror}") from error
        start = time.perf_counter()
        try:
            (picture,) = self.model.translate([contents], self.signature, self.noise_seed)
        except ServingError as error:
            if error.code in _OF_ONE_IMAGE:
                raise _RefusedError(f"{file}: {error}") from error
            raise
        latency_sec = time.perf_counter() - start
        staging.write_file(output, picture)
        return latency_sec


def summarize(latencies_sec: Sequence[float], elapsed_sec: float) -> str:
    """Returns the throughput and the latencies that so many percent of the requests did not exceed.

    Args:
      latencies_sec: of every answered request.
      elapsed_sec: between the first request and the last answer.
    """
    count = len(latencies_sec)
    text = (
        f"{count} image{'' if count == 1 else 's'} in {elapsed_sec:.1f} s, {count / elapsed_sec:.3g} images/s"
    )
    if not count:
        return text
    # Latencies that occurred, not ones in between.
    values = np.percentile(latencies_sec, PERCENTILES, method="inverted_cdf") * 1000
    columns = (f"p{percent} {value:.0f} ms" for percent, value in zip(PERCENTILES, values, strict=True))
    return f"{text}; latency {', '.join(columns)}"


if __name__ == "__main__":
    command_line.run(main)
