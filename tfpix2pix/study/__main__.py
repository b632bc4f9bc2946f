"""Asks people which image is real: the paper's real-vs-fake study (Sec. 3.4).

    python -m tfpix2pix.study create --study_dir=studies/facades --model=runs/facades
    python -m tfpix2pix.study preview --study_dir=studies/facades
    python -m tfpix2pix.study serve --study_dir=studies/facades
    python -m tfpix2pix.study results --study_dir=studies/facades

create makes the study's folder, preview shows it without recording anything, serve
asks people, results says in what share of trials a generated image was judged real.
COMMAND --help lists a command's flags.
"""

import dataclasses
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.progress import warn
from tfpix2pix.study.folder import (
    ANSWERS_FILE,
    CONSENT_FILE,
    INSTRUCTIONS_FILE,
    PAIRINGS,
    Protocol,
    Study,
    check_algorithms,
    check_images,
    check_protocol,
    check_texts,
    fingerprint,
    load_study,
    read_secret,
)
from tfpix2pix.study.results.exclusions import Rules
from tfpix2pix.web.address import check_packages, define_address_flags, open_socket, read_address

DEFAULT_PORT = 8090
_HELP = {
    "practice_trials": "with feedback",
    "test_trials": "without feedback",
    "vigilance_trials": "among the test trials, with an unmistakably broken image",
    "exposure_sec": "how long each image is shown",
    "least_gap_sec": "shortest blank before an image",
    "most_gap_sec": "longest blank before an image",
    "feedback_sec": "how long the answer to a practice trial is shown",
    "pairing": "both images of a trial are of the same example, or of different ones",
}
_RULES_HELP = {
    "exposure_tolerance_ms": "trials whose measured exposures are off by more do not count",
    "least_vigilance_percent": "sessions with fewer correct vigilance trials do not count",
    "least_trials_percent": "sessions with fewer trials that count do not count",
}


def main(argv: Sequence[str]) -> None:
    """Runs the command that the first argument names."""
    commands = {"create": _create, "preview": _preview, "serve": _serve, "results": _results}
    name = argv[1] if len(argv) > 1 else ""
    if name in ("-h", "-help", "--help"):
        print((__doc__ or "").strip())
    elif name not in commands:
        given = f" Received: {name}" if name else ""
        raise UsageError(f"expected a command: {', '.join(commands)} (--help shows more).{given}")
    else:
        commands[name]([f"{argv[0]} {name}", *argv[2:]])


def _create(argv: Sequence[str]) -> None:
    """Makes a study out of folders of images, or out of trained runs.

    study create --study_dir=studies/facades --model=runs/facades
    study create --study_dir=studies/maps --real=DIR --generated=L1=DIR --generated=cGAN=DIR

    Images of one name, whatever their suffix, are of one example.
    """
    flag_values = command_line.new_flags()
    _define_study_flags(flag_values)
    _define_protocol_flags(flag_values)
    values = _parse(flag_values, _create.__doc__ or "", argv)
    study_dir = _study_dir(values)
    _check_sources(values, study_dir)
    protocol = Protocol(**{name: values[name] for name in _HELP})
    check_protocol(protocol)
    check_texts(values["title"], values["completion_url"])
    study = Study(
        title=values["title"],
        seed=secrets.randbits(53) if values["seed"] is None else values["seed"],
        algorithms=(),
        examples=(),
        protocol=protocol,
        image_size=_read_size(values["image_size"]),
        completion_url=values["completion_url"],
    )
    models, generated = _read_named(values["model"], "model"), _read_named(values["generated"], "generated")
    check_algorithms(tuple(models or generated))

    command_line.import_tensorflow()
    from tfpix2pix.study.creation import create_study
    from tfpix2pix.study.images import find_in_folders, translate_split

    limit = values["max_examples"]
    if models:
        images = translate_split(
            models,
            values["split"],
            noise_seed=values["noise_seed"],
            limit=limit,
            data_dir=values["data_dir"],
        )
    else:
        images = find_in_folders(Path(values["real"]), generated, limit)
    study = create_study(study_dir, images, study)
    print(f"{study_dir}: {len(study.examples)} examples, algorithms {', '.join(study.algorithms)}")
    print(f"edit {study_dir / CONSENT_FILE} and {study_dir / INSTRUCTIONS_FILE}")


def _check_sources(values: dict[str, Any], study_dir: Path) -> None:
    if study_dir.exists():
        raise UsageError(f"{study_dir} exists already; choose another --study_dir")
    if bool(values["model"]) == bool(values["real"] or values["generated"]):
        raise UsageError("expected either --model, or --real and --generated (--help shows more)")
    if not values["model"] and not (values["real"] and values["generated"]):
        raise UsageError("--real and --generated go together (--help shows more)")


def _serve(argv: Sequence[str]) -> None:
    """Serves a study to those who take part, until Ctrl-C; what was answered is kept.

    study serve --study_dir=studies/facades

    For people elsewhere, put a reverse proxy with HTTPS in front; docs/study.md shows how.
    """
    flag_values = command_line.new_flags()
    _define_study_dir(flag_values)
    define_address_flags(flag_values, DEFAULT_PORT)
    flags.DEFINE_bool(
        "require_worker_id",
        False,
        "refuse links without the worker id of a crowd platform",
        flag_values=flag_values,
    )
    flags.DEFINE_float(
        "abandoned_after_min",
        60.0,
        "a session idle for so long no longer counts when algorithms are assigned",
        0.0,
        60.0 * 24 * 365,
        flag_values=flag_values,
    )
    values = _parse(flag_values, _serve.__doc__ or "", argv)
    _serve_study(values, is_preview=False)


def _preview(argv: Sequence[str]) -> None:
    """Shows a study as those who take part will see it; nothing is recorded.

    study preview --study_dir=studies/facades
    """
    flag_values = command_line.new_flags()
    _define_study_dir(flag_values)
    define_address_flags(flag_values, DEFAULT_PORT)
    values = _parse(flag_values, _preview.__doc__ or "", argv)
    _serve_study(values | {"require_worker_id": False, "abandoned_after_min": 60.0}, is_preview=True)


def _serve_study(values: dict[str, Any], is_preview: bool) -> None:
    study_dir, address = _study_dir(values), read_address(values)
    study = load_study(study_dir)
    check_images(study_dir, study)
    check_packages()
    from tfpix2pix.study.application import make_study_application
    from tfpix2pix.study.page import render_page
    from tfpix2pix.study.sessions import StudySessions
    from tfpix2pix.study.store import open_store
    from tfpix2pix.web.server import serve

    secret = secrets.token_bytes() if is_preview else read_secret(study_dir)
    page = render_page(study_dir, study, is_preview)
    _warn_of_brackets(study_dir)
    with (
        open_socket(address) as listening,
        open_store(None if is_preview else study_dir / ANSWERS_FILE) as store,
    ):
        store.bind(fingerprint(study))
        sessions = StudySessions(
            study_dir,
            study,
            store,
            secret,
            abandoned_after_sec=60 * values["abandoned_after_min"],
            requires_worker_id=values["require_worker_id"],
            is_preview=is_preview,
        )
        app = make_study_application(sessions, page, secret, address.allowed_hosts)
        serve(app, address, listening, "preview" if is_preview else "study")


def _warn_of_brackets(study_dir: Path) -> None:
    file = study_dir / CONSENT_FILE
    if "[Researcher:" in file.read_text("utf-8"):
        warn(f"{file} still has its paragraph in brackets, which is for you to replace")


def _results(argv: Sequence[str]) -> None:
    """Computes fooling rates with their intervals, and writes them to the study's folder `results`.

    study results --study_dir=studies/facades

    The server may be running.
    """
    flag_values = command_line.new_flags()
    _define_study_dir(flag_values)
    for field in dataclasses.fields(Rules):
        default: Any = field.default
        flags.DEFINE_float(field.name, default, _RULES_HELP[field.name], flag_values=flag_values)
    flags.DEFINE_integer("resamples", 10_000, "of the bootstrap", flag_values=flag_values)
    flags.DEFINE_integer("seed", 0, "of the bootstrap", flag_values=flag_values)
    values = _parse(flag_values, _results.__doc__ or "", argv)
    from tfpix2pix.study.results.write import write_results

    rules = Rules(**{field.name: values[field.name] for field in dataclasses.fields(Rules)})
    print(write_results(_study_dir(values), rules, values["resamples"], values["seed"]), end="")


def _parse(flag_values: flags.FlagValues, summary: str, argv: Sequence[str]) -> dict[str, Any]:
    command_line.refuse_arguments(command_line.parse_flags(flag_values, summary, argv))
    return flag_values.flag_values_dict()


def _define_study_dir(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_string("study_dir", None, "folder of the study", flag_values=flag_values)


def _study_dir(values: dict[str, Any]) -> Path:
    if not values["study_dir"]:
        raise UsageError("--study_dir is missing (--help lists the flags)")
    return Path(values["study_dir"])


def _define_study_flags(flag_values: flags.FlagValues) -> None:
    _define_study_dir(flag_values)
    for name, text in (
        (
            "model",
            "a run or SavedModel, or NAME=PATH; its dataset has the real images; may be repeated",
        ),
        ("generated", "NAME=FOLDER of an algorithm's images; may be repeated"),
    ):
        flags.DEFINE_multi_string(name, None, text, flag_values=flag_values)
    for name, default, text in (
        ("real", None, "folder of the real images"),
        ("data_dir", None, "for --model: folder that holds the dataset (default: the run's, or datasets)"),
        ("title", "Which image is fake?", "heading of the pages"),
        ("image_size", "256", "N or HxW, px, that all images are resized to"),
        ("completion_url", "", "link at the end, such as Prolific's completion URL"),
    ):
        flags.DEFINE_string(name, default, text, flag_values=flag_values)
    flags.DEFINE_enum("split", "val", catalogue.SPLITS, "for --model", flag_values=flag_values)
    flags.DEFINE_integer("noise_seed", 0, "for --model: of the noise", 0, flag_values=flag_values)
    flags.DEFINE_integer("max_examples", None, "spread evenly (default: all)", 1, flag_values=flag_values)
    flags.DEFINE_integer(
        "seed", None, "of sides and order (default: a new one)", 0, 2**53, flag_values=flag_values
    )


def _define_protocol_flags(flag_values: flags.FlagValues) -> None:
    for field in dataclasses.fields(Protocol):
        name, text = field.name, _HELP[field.name]
        default: Any = field.default
        if field.type is int:
            flags.DEFINE_integer(name, default, text, flag_values=flag_values)
        elif field.type is float:
            flags.DEFINE_float(name, default, text, flag_values=flag_values)
        else:
            flags.DEFINE_enum(name, default, PAIRINGS, text, flag_values=flag_values)


def _read_named(texts: Sequence[str] | None, flag: str) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for text in texts or ():
        name, equals, path = text.partition("=")
        if not equals:
            if flag == "generated":
                raise UsageError(f"--generated takes NAME=FOLDER. Received: {text}")
            name, path = Path(text).name, text
        if name in named:
            raise UsageError(f"--{flag}: two have the name {name}; give them different ones, as NAME=PATH")
        named[name] = Path(path)
    return named


def _read_size(text: str) -> tuple[int, int]:
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and 16 <= int(part) <= 4096 for part in parts):
        raise UsageError(f"--image_size is N or HxW, each from 16 to 4096. Received: {text}")
    return int(parts[0]), int(parts[-1])


if __name__ == "__main__":
    command_line.run(main)
