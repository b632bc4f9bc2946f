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
    IMAGES_FOLDER,
    INSTRUCTIONS_FILE,
    SECRET_FILE,
    STUDY_FILE,
    Example,
    Study,
    check_count,
    image_file,
    save_study,
)
from tfpix2pix.study.images import Picture, StudyImages

# The number of cells across a broken image. Nobody who looks takes such an image for a photo.
MOSAIC_CELLS = 8
CONSENT = """\
You are invited to take part in a study about computer-generated images. You will see pairs of images, one \
real and one made by a computer program, and say which one is the fake. It takes about {minutes}.

We store your answers and how long they took, the size of your browser's window and of the images on your \
screen and, if a platform sent you here, your ID on that platform. A cookie remembers where you are in the \
study. We do not ask for your name.

Taking part is voluntary. You can stop at any time by closing this page.

[Researcher: replace this paragraph in consent.md. Who runs the study, how to reach you, what is done with \
the data and for how long, payment, and the approval of your ethics board.]
"""
INSTRUCTIONS = """\
In each trial you see two images, one after the other, each for {seconds}. One is real; the other was made \
by a computer program. Then they disappear, and you say which one was the fake.

- Press 1 or ← if the first image was the fake, 2 or → if the second was; or use the buttons.
- Take as long as you like to answer. If you are not sure, guess.
- Keep looking at the gray area, and stay in this window while images are shown.
{practice}\
"""
PRACTICE = "- The first {trials} are for practice: after each you are told whether you were right.\n"


def create_study(study_dir: Path, images: StudyImages, study: Study) -> Study:
    """Makes the folder of a study, which appears whole or not at all.

    Args:
      study_dir: the folder, which must not exist yet.
      images: the images that people are shown.
      study: gives title, seed, protocol and size of the images. Its algorithms and examples are replaced
        by those of `images`.

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
        _write_texts(staging_dir, study)
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
    """Writes the images of each example, except where its real image is that of an earlier example."""
    seen: dict[bytes, str] = {}
    with show_progress("images", len(images.example_ids), "examples") as bar:
        for example_id, (real, generated) in zip(images.example_ids, images.read(), strict=True):
            bar.update()
            _check_pictures(example_id, real, generated, study)
            first = seen.setdefault(hashlib.sha256(real.tobytes()).digest(), example_id)
            if first != example_id:
                say(f"{example_id} is left out: its real image is that of {first}")
                continue
            yield _write_example(folder, study, example_id, real, generated)


def _check_pictures(example_id: str, real: Picture, generated: dict[str, Picture], study: Study) -> None:
    for name, picture in generated.items():
        if picture.shape != real.shape:
            sizes = f"{_size(picture)} px, and the real one {_size(real)} px"
            raise UsageError(
                f"{example_id}: the image of {name} has {sizes}. Their sharpness would tell them apart; "
                "both must have been made at one size"
            )
        if np.array_equal(picture, real):
            raise UsageError(f"{example_id}: the image of {name} is the real one, pixel for pixel")
    for (one, first), (other, second) in itertools.combinations(generated.items(), 2):
        if np.array_equal(first, second):
            raise UsageError(f"{example_id}: the images of {one} and {other} are the same, pixel for pixel")
    height, width = study.image_size
    if abs(real.shape[1] / real.shape[0] - width / height) > 0.02 * width / height:
        raise UsageError(
            f"{example_id} has {_size(real)} px, and the `image_size` {height}x{width} would change its "
            f"proportions; {_size(real)} keeps them"
        )


def _size(picture: Picture) -> str:
    return f"{picture.shape[0]}x{picture.shape[1]}"


def _write_example(
    folder: Path, study: Study, example_id: str, real: Picture, generated: dict[str, Picture]
) -> Example:
    def write(picture: Picture, *kind: str) -> str:
        token = _draw_token(study.seed, example_id, *kind)
        # All images are resampled and encoded alike, so that neither tells which image is real.
        resized = resize(picture, study.image_size).numpy() if _changes(picture, study) else picture
        contents = np.clip(np.round(resized), 0, 255).astype(np.uint8)
        write_png(image_file(folder, token), contents)
        return token

    tokens = {name: write(picture, "generated", name) for name, picture in generated.items()}
    broken = write(_break(real), "vigilance") if study.protocol.vigilance_trials else ""
    return Example(example_id, write(real, "real"), tokens, broken)


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


def _write_texts(folder: Path, study: Study) -> None:
    protocol = study.protocol
    # The estimate is the time that a session without haste took.
    trial_sec = 2 * protocol.exposure_sec + protocol.least_gap_sec + protocol.most_gap_sec + 1.5
    session_sec = 60 + protocol.trials * trial_sec + protocol.practice_trials * protocol.feedback_sec
    minutes = max(1, round(session_sec / 60))
    seconds = "1 second" if protocol.exposure_sec == 1 else f"{protocol.exposure_sec:g} seconds"
    practice = PRACTICE.format(trials=protocol.practice_trials) if protocol.practice_trials else ""
    texts = {
        CONSENT_FILE: CONSENT.format(minutes="1 minute" if minutes == 1 else f"{minutes} minutes"),
        INSTRUCTIONS_FILE: INSTRUCTIONS.format(seconds=seconds, practice=practice),
    }
    for name, text in texts.items():
        staging.write_file(folder / name, text.encode())


def _write_secret(folder: Path) -> None:
    file = folder / SECRET_FILE
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(secrets.token_hex(32) + "\n")
