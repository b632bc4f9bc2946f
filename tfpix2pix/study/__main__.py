"""Asks people which image is real, the paper's study (Sec. 3.4), or which of two images is better.

    python -m tfpix2pix.study create --study_dir=studies/facades --model=runs/facades
    python -m tfpix2pix.study preview --study_dir=studies/facades
    python -m tfpix2pix.study serve --study_dir=studies/facades
    python -m tfpix2pix.study results --study_dir=studies/facades

create makes the folder of a study, and preview shows the study without recording
anything. serve asks people. results says in what share of trials a generated image
was judged real, or one algorithm was preferred. texts writes all words of the pages,
to be translated. COMMAND --help lists the flags of a command.
"""

import dataclasses
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.paths import settle_path
from tfpix2pix.study.flags import (
    define_protocol,
    define_rules,
    define_sources,
    define_study,
    define_study_dir,
    read_questions,
    read_rules,
)
from tfpix2pix.study.folder import (
    CONSENT_FILE,
    DEBRIEFING_FILE,
    INSTRUCTIONS_FILE,
    Study,
    check_algorithms,
    check_title,
    check_urls,
    load_study,
)
from tfpix2pix.study.protocol import (
    REAL_VS_FAKE,
    Protocol,
    Rules,
    check_limits,
    check_protocol,
    check_questions,
)
from tfpix2pix.study.texts import TEXTS, Texts, choose_question, read_texts, render_texts
from tfpix2pix.web.address import check_packages, define_address_flags, read_address

DEFAULT_PORT = 8090


def main(argv: Sequence[str]) -> None:
    """Runs the command that the first argument names."""
    commands = {
        "create": _create,
        "preview": _preview,
        "serve": _serve,
        "results": _results,
        "texts": _texts,
    }
    name = argv[1] if len(argv) > 1 else ""
    if name in ("-h", "-help", "--help"):
        print((__doc__ or "").strip())
    elif name not in commands:
        given = f" Received: {name}" if name else ""
        raise UsageError(f"expected a command: {', '.join(commands)} (--help shows more).{given}")
    else:
        commands[name]([f"{argv[0]} {name}", *argv[2:]])


def _create(argv: Sequence[str]) -> None:
    """Makes a study out of trained models, or out of folders of images.

    study create --study_dir=studies/facades --model=runs/facades
    study create --study_dir=studies/maps --real=DIR --generated=L1=DIR --generated=cGAN=DIR
    study create --study_dir=studies/pairs --design=preference --model=runs/l1 --model=runs/cgan

    Images of one name, whatever their suffixes are, belong to one example.
    """
    flag_values = command_line.new_flags()
    define_study_dir(flag_values)
    define_sources(flag_values)
    define_study(flag_values)
    define_protocol(flag_values)
    define_rules(flag_values, are_fixed=False)
    values = _parse(flag_values, _create.__doc__ or "", argv)
    study_dir = _study_dir(values)
    texts = read_texts(Path(values["texts"])) if values["texts"] else TEXTS
    study = _describe_study(values, texts)
    _check_sources(values, study_dir)
    models, generated = _read_named(values["model"], "model"), _read_named(values["generated"], "generated")
    check_algorithms(tuple(models or generated), study.protocol)

    command_line.import_tensorflow()
    from tfpix2pix.study.creation import create_study
    from tfpix2pix.study.images import find_in_folders, translate_split

    if models:
        images = translate_split(
            models,
            values["split"] or "val",
            noise_seed=values["noise_seed"] or 0,
            limit=values["max_examples"],
            data_dir=values["data_dir"],
            shows_samples=study.protocol.criterion == "variety",
        )
    else:
        real, inputs = (Path(values[name]) if values[name] else None for name in ("real", "input"))
        images = find_in_folders(real, generated, values["max_examples"], inputs=inputs)
    study = create_study(study_dir, images, study, texts)
    print(
        f"{study_dir}: {count_of(len(study.examples), 'example')}, algorithms {', '.join(study.algorithms)}"
    )
    sheets = [str(study_dir / name) for name in (CONSENT_FILE, INSTRUCTIONS_FILE, DEBRIEFING_FILE)]
    print(f"edit {', '.join(sheets)}")


def _check_sources(values: dict[str, Any], study_dir: Path) -> None:
    if study_dir.exists():
        raise UsageError(f"{study_dir} exists already; choose another --study_dir")
    folders = {
        "real": values["design"] == REAL_VS_FAKE,
        "generated": True,
        "input": values["show_input"],
    }
    needed = " and ".join(f"--{name}" for name, is_needed in folders.items() if is_needed)
    given = {name for name in folders if values[name]}
    if bool(values["model"]) == bool(given):
        raise UsageError(f"expected either --model, or {needed} (--help shows more)")
    if given and given != {name for name, is_needed in folders.items() if is_needed}:
        raise UsageError(f"this study takes its images from {needed} (--help shows more)")
    unused = [f"`{name}`" for name in ("split", "noise_seed", "data_dir") if values[name] is not None]
    if given and unused:
        raise UsageError(f"{' and '.join(unused)} would have no effect: the images come from {needed}")


def _describe_study(values: dict[str, Any], texts: Texts) -> Study:
    """Returns the study that the flags ask for, without its images; raises UsageError where it cannot be."""
    protocol = Protocol(**{field.name: values[field.name] for field in dataclasses.fields(Protocol)})
    check_protocol(protocol)
    title = choose_question(protocol, texts) if values["title"] is None else values["title"]
    check_title(title)
    links = {name: values[name] for name in ("completion_url", "decline_url", "screen_out_url")}
    study = Study(
        title=title,
        seed=secrets.randbits(53) if values["seed"] is None else values["seed"],
        algorithms=(),
        examples=(),
        protocol=protocol,
        image_size=_read_size(values["image_size"]),
        exit_questions=read_questions(values["exit_question"]),
        rules=read_rules(values, Rules()),
        **links,
    )
    check_urls(study)
    check_questions(study.exit_questions)
    check_limits(study.exit_questions)
    return study


def _serve(argv: Sequence[str]) -> None:
    """Serves a study to the people who take part, until Ctrl-C. Their answers are kept.

    study serve --study_dir=studies/facades

    For people elsewhere, put a reverse proxy with HTTPS in front; docs/study.md shows how.
    """
    flag_values = command_line.new_flags()
    define_study_dir(flag_values)
    define_address_flags(flag_values, DEFAULT_PORT)
    flags.DEFINE_bool(
        "require_worker_id",
        False,
        "Refuse links without the worker id of a crowd platform.",
        flag_values=flag_values,
    )
    flags.DEFINE_float(
        "abandoned_after_min",
        60.0,
        "Leave sessions that are idle for this many minutes out of the count when algorithms are assigned.",
        0.0,
        60.0 * 24 * 365,
        flag_values=flag_values,
    )
    values = _parse(flag_values, _serve.__doc__ or "", argv)
    _serve_study(
        values,
        requires_worker_id=values["require_worker_id"],
        abandoned_after_sec=60 * values["abandoned_after_min"],
    )


def _preview(argv: Sequence[str]) -> None:
    """Shows a study as the people who take part will see it. Nothing is recorded.

    study preview --study_dir=studies/facades
    """
    flag_values = command_line.new_flags()
    define_study_dir(flag_values)
    define_address_flags(flag_values, DEFAULT_PORT)
    _serve_study(_parse(flag_values, _preview.__doc__ or "", argv), is_preview=True)


def _serve_study(values: dict[str, Any], **settings: Any) -> None:
    study_dir, address = _study_dir(values), read_address(values)
    check_packages()
    from tfpix2pix.study.serving import serve_study

    serve_study(study_dir, address, **settings)


def _results(argv: Sequence[str]) -> None:
    """Computes fooling rates with their intervals, and writes them to the study's folder `results`.

    study results --study_dir=studies/facades

    The study may be served meanwhile.
    """
    flag_values = command_line.new_flags()
    define_study_dir(flag_values)
    define_rules(flag_values, are_fixed=True)
    flags.DEFINE_integer(
        "resamples", 10_000, "Draw this many resamples for the bootstrap.", flag_values=flag_values
    )
    flags.DEFINE_integer("seed", 0, "Draw the resamples from this seed.", flag_values=flag_values)
    flags.DEFINE_string(
        "output",
        None,
        "Write the results to this folder. Default: results in the folder of the study.",
        flag_values=flag_values,
    )
    values = _parse(flag_values, _results.__doc__ or "", argv)
    from tfpix2pix.study.results.write import write_results

    rules = read_rules(values, load_study(_study_dir(values)).rules)
    output = values["output"] and settle_path(values["output"], "output")
    print(write_results(_study_dir(values), rules, values["resamples"], values["seed"], output), end="")


def _texts(argv: Sequence[str]) -> None:
    """Writes all words of the pages in English, to be translated. create --texts=FILE takes the translation.

    study texts > german.json
    """
    _parse(command_line.new_flags(), _texts.__doc__ or "", argv)
    print(render_texts(), end="")


def _parse(flag_values: flags.FlagValues, summary: str, argv: Sequence[str]) -> dict[str, Any]:
    return command_line.read_flags(flag_values, summary, argv)


def _study_dir(values: dict[str, Any]) -> Path:
    if not values["study_dir"]:
        raise UsageError("--study_dir is missing (--help lists the flags)")
    return Path(values["study_dir"])


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
        named[name] = Path(settle_path(path, flag))
    return named


def _read_size(text: str) -> tuple[int, int]:
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and 16 <= int(part) <= 4096 for part in parts):
        raise UsageError(f"--image_size is N or HxW, each from 16 to 4096. Received: {text}")
    return int(parts[0]), int(parts[-1])


if __name__ == "__main__":
    command_line.run(main)
