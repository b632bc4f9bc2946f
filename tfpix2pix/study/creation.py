"""Makes the folder of a study: images of one size and format under names that say nothing, texts to edit."""

import dataclasses
import hashlib
import itertools
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tfpix2pix.pictures.sheets import write_png
from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.progress import say, show_progress, warn
from tfpix2pix.pipelines.tasks.transforms import resize
from tfpix2pix.study.folder import (
    CONSENT_FILE,
    DEBRIEFING_FILE,
    IMAGES_FOLDER,
    INSTRUCTIONS_FILE,
    SECRET_FILE,
    STUDY_FILE,
    Example,
    Study,
    image_file,
    save_study,
)
from tfpix2pix.study.images import ExamplePictures, Picture, StudyImages
from tfpix2pix.study.protocol import Protocol, check_count
from tfpix2pix.study.texts import TEXTS, TEXTS_FILE, Texts, choose_question, render_texts, select_words

# The number of cells across a broken image. Nobody who looks takes such an image for a photo.
MOSAIC_CELLS = 8


def create_study(study_dir: Path, images: StudyImages, study: Study, texts: Texts = TEXTS) -> Study:
    """Makes the folder of a study, which appears whole or not at all.

    Args:
      study_dir: the folder, which must not exist yet.
      images: the images that people are shown.
      study: gives title, seed, protocol and size of the images. Its algorithms and examples are replaced
        by those of `images`.
      texts: all words of the pages, which `read_texts` returns.

    Returns:
      The study as it was written.

    Raises:
      UsageError: when `study_dir` exists, or the images do not go together or are too few.
      UserError: when an image cannot be read.
    """
    if study_dir.exists():
        raise UsageError(f"{study_dir} exists already; choose another `study_dir`")
    check_count(len(images.example_ids), study.protocol)
    with staging.staged_folder(study_dir) as staging_dir:
        (staging_dir / IMAGES_FOLDER).mkdir()
        examples = tuple(_write_examples(staging_dir, images, study))
        study = dataclasses.replace(study, algorithms=images.algorithms, examples=examples)
        save_study(staging_dir, study)
        (staging_dir / STUDY_FILE).chmod(0o600)  # It tells real images from generated ones.
        _write_texts(staging_dir, study, texts)
        _write_secret(staging_dir)
        staging.publish(staging_dir, study_dir)
    _warn_of_pairing(study)
    return study


def _warn_of_pairing(study: Study) -> None:
    count, trials = len(study.examples), study.protocol.trials
    if study.protocol.pairing == "different" and count < 2 * trials:
        warn(
            f"`pairing=different`: with {trials} trials and {count} examples a person sees some real images "
            f"and, in other trials, what was generated for them. With {2 * trials} examples nobody does"
        )


def _write_examples(folder: Path, images: StudyImages, study: Study) -> Iterator[Example]:
    """Writes the images of each example, except where its first image is that of an earlier example."""
    seen: dict[bytes, str] = {}
    with show_progress("images", len(images.example_ids), "examples") as bar:
        for example_id, pictures in zip(images.example_ids, images.read(), strict=True):
            bar.update()
            shown = _list_judged(example_id, pictures, study)
            _check_pictures(example_id, shown, study)
            kind, picture = next(iter(shown.items()))
            first = seen.setdefault(hashlib.sha256(picture.tobytes()).digest(), example_id)
            if first != example_id:
                say(f"{example_id} is left out: {kind} is that of {first}")
                continue
            yield _write_example(folder, study, example_id, pictures)


def _list_judged(example_id: str, pictures: ExamplePictures, study: Study) -> dict[str, Picture]:
    """Returns what people judge: its name in messages -> the picture."""
    generated = {f"the image of {name}": picture for name, picture in pictures.generated.items()}
    if study.protocol.has_preferences:
        return generated
    return {"its real image": _need(pictures.real, f"the real image of {example_id}"), **generated}


def _need(picture: Picture | None, name: str) -> Picture:
    if picture is None:
        raise UsageError(f"{name} is missing")
    return picture


def _check_pictures(example_id: str, shown: dict[str, Picture], study: Study) -> None:
    for (one, first), (other, second) in itertools.combinations(shown.items(), 2):
        if first.shape != second.shape:
            raise UsageError(
                f"{example_id}: {one} has {_size(first)} px, and {other} {_size(second)} px. Their sharpness "
                "would tell them apart; both must have been made at one size"
            )
        if np.array_equal(first, second):
            raise UsageError(f"{example_id}: {one} and {other} are the same, pixel for pixel")
    for picture in shown.values():
        _check_proportions(example_id, picture, study)


def _check_proportions(example_id: str, picture: Picture, study: Study) -> None:
    height, width = study.image_size
    if abs(picture.shape[1] / picture.shape[0] - width / height) > 0.02 * width / height:
        raise UsageError(
            f"{example_id} has {_size(picture)} px, and the `image_size` {height}x{width} would change its "
            f"proportions; {_size(picture)} keeps them"
        )


def _size(picture: Picture) -> str:
    return f"{picture.shape[0]}x{picture.shape[1]}"


def _write_example(folder: Path, study: Study, example_id: str, pictures: ExamplePictures) -> Example:
    def write(picture: Picture, *kind: str) -> str:
        token = _draw_token(study.seed, example_id, *kind)
        # All images are resampled and encoded alike, so that neither tells what it is.
        resized = resize(picture, study.image_size).numpy() if _changes(picture, study) else picture
        contents = np.clip(np.round(resized), 0, 255).astype(np.uint8)
        write_png(image_file(folder, token), contents)
        return token

    protocol = study.protocol
    judged = next(iter(_list_judged(example_id, pictures, study).values()))
    tokens = {name: write(picture, "generated", name) for name, picture in pictures.generated.items()}
    broken = write(_break(judged), "vigilance") if protocol.vigilance_trials else ""
    real = "" if protocol.has_preferences else write(judged, "real")
    if protocol.show_input:
        name = f"the input of {example_id}"
        picture = _need(pictures.input, name)
        _check_proportions(name, picture, study)
        return Example(example_id, real, tokens, broken, write(picture, "input"))
    return Example(example_id, real, tokens, broken)


def _changes(picture: Picture, study: Study) -> bool:
    return picture.shape[:2] != tuple(study.image_size)


def _draw_token(seed: int, *address: str) -> str:
    text = "/".join(f"{len(part)}:{part}" for part in (str(seed), *address))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _break(real: Picture) -> Picture:
    """Returns the picture as a few coarse cells, each of one colour."""
    rows, columns = (
        (np.arange(size) * MOSAIC_CELLS // size) * size // MOSAIC_CELLS for size in real.shape[:2]
    )
    return real[rows][:, columns]


def _write_texts(folder: Path, study: Study, texts: Texts) -> None:
    protocol = study.protocol
    # The estimate is the time that a session without haste took.
    shown_sec = 2 * protocol.exposure_sec or 4.0
    trial_sec = shown_sec + protocol.least_gap_sec + protocol.most_gap_sec + 1.5
    session_sec = 60 + protocol.trials * trial_sec + protocol.practice_trials * protocol.feedback_sec
    written = {
        CONSENT_FILE: texts["consent"].format(minutes=max(1, round(session_sec / 60))),
        INSTRUCTIONS_FILE: _write_instructions(protocol, texts),
        DEBRIEFING_FILE: texts[f"debriefing_{protocol.design}"],
        TEXTS_FILE: render_texts(select_words(texts)),
    }
    for name, text in written.items():
        staging.write_file(folder / name, text.encode())


def _write_instructions(protocol: Protocol, texts: Texts) -> str:
    key = f"instructions_{protocol.design}" + ("" if protocol.exposure_sec else "_unlimited")
    parts = [
        texts[key].format(seconds=f"{protocol.exposure_sec:g}", question=choose_question(protocol, texts))
    ]
    if protocol.show_input:
        parts.append(texts["instructions_input"])
    if protocol.practice_trials:
        practice = "instructions_practice" if protocol.has_preferences else "instructions_feedback"
        parts.append(texts[practice].format(trials=protocol.practice_trials))
    return "".join(f"{part.rstrip()}\n" for part in parts)


def _write_secret(folder: Path) -> None:
    file = folder / SECRET_FILE
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(secrets.token_hex(32) + "\n")
