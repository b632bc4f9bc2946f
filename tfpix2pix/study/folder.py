"""The folder of a real-vs-fake study, and `study.json`, which says what is shown to people and how.

    study.json          this module's `Study`
    images/<token>.png  all images, under names that do not tell real from generated ones
    consent.md          what people agree to; Markdown, yours to edit
    instructions.md     what people are told to do; Markdown, yours to edit
    secret.key          makes completion codes and the addresses of images; keep it secret
    answers.sqlite      sessions and answers, which `store.py` writes

To analyse a study, take `load_study(study_dir)` and the dataclasses below. Measured exposures are to be
compared with `study.protocol.exposure_sec`.
"""

import dataclasses
import hashlib
import json
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError, UserError

STUDY_FILE = "study.json"
IMAGES_FOLDER = "images"
CONSENT_FILE = "consent.md"
PLACEHOLDER = "[Researcher:"  # in the consent that `create` writes
INSTRUCTIONS_FILE = "instructions.md"
SECRET_FILE = "secret.key"
ANSWERS_FILE = "answers.sqlite"

VERSION = 1
PAIRINGS = ("same", "different")
_TOKEN = re.compile(r"[0-9a-f]{32}")
# Names of algorithms become labels of tables, files and plots.
_NAME = re.compile(r"[\w][\w.+ -]{0,63}")


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What happens in a session. The defaults are those of the paper.

    Attributes:
      practice_trials: number of trials with feedback, which do not count.
      test_trials: number of trials without feedback, which count.
      vigilance_trials: number of trials among the test trials with an unmistakably broken image.
      exposure_sec: how long each image is shown.
      least_gap_sec: the shortest blank before an image. Each blank is drawn at random.
      most_gap_sec: the longest blank before an image.
      feedback_sec: how long the right answer to a practice trial is shown.
      pairing: `same`, if both images of a trial are of one example; `different`, if they are of two, as in
        the paper's study of maps.

    Source: Sec. 3.4 of the paper; the feedback is that of its published study code.
    """

    practice_trials: int = 10
    test_trials: int = 40
    vigilance_trials: int = 0
    exposure_sec: float = 1.0
    least_gap_sec: float = 0.3
    most_gap_sec: float = 0.6
    feedback_sec: float = 2.4
    pairing: str = "same"

    @property
    def trials(self) -> int:
        """Returns the number of trials of a session."""
        return self.practice_trials + self.test_trials + self.vigilance_trials


@dataclasses.dataclass(frozen=True)
class Example:
    """One real image and what each algorithm made of its input.

    Attributes:
      example_id: name of the images in the folders that they came from.
      real: token of the real image.
      generated: algorithm -> token of its image.
      vigilance: token of the broken image; empty in a study without vigilance trials.
    """

    example_id: str
    real: str
    generated: Mapping[str, str]
    vigilance: str = ""

    @property
    def tokens(self) -> tuple[str, ...]:
        """Returns the tokens of all images."""
        return (self.real, *self.generated.values(), *filter(None, [self.vigilance]))


@dataclasses.dataclass(frozen=True)
class Study:
    """A study as `study.json` holds it.

    Attributes:
      title: heading of the pages.
      seed: decides the sides and the order of every session.
      algorithms: names of the algorithms. A person sees images of one of them.
      examples: the examples, each with an image of every algorithm.
      protocol: what happens in a session.
      image_size: (height, width) px of every image.
      completion_url: link at the end, back to a crowd platform; empty if there is none.
      version: version of the file's format.
    """

    title: str
    seed: int
    algorithms: tuple[str, ...]
    examples: tuple[Example, ...]
    protocol: Protocol = Protocol()
    image_size: tuple[int, int] = (256, 256)
    completion_url: str = ""
    version: int = VERSION


def save_study(study_dir: Path, study: Study) -> None:
    """Checks a study and writes its `study.json`, whole or not at all.

    Raises:
      UsageError: when the study cannot be run as it is.
    """
    check_study(study)
    text = json.dumps(dataclasses.asdict(study), indent=1, ensure_ascii=False) + "\n"
    staging.write_file(study_dir / STUDY_FILE, text.encode())


def load_study(study_dir: str | Path) -> Study:
    """Returns the study in a folder.

    Raises:
      UsageError: when the folder holds no study.
      UserError: when `study.json` cannot be used.
    """
    path = Path(study_dir) / STUDY_FILE
    if not path.is_file():
        raise UsageError(
            f"{study_dir} holds no study: there is no {STUDY_FILE}. "
            "python -m tfpix2pix.study create makes one"
        )
    try:
        contents = json.loads(path.read_text("utf-8"))
        protocol = _parse(Protocol, contents.pop("protocol"))
        examples = tuple(_parse(Example, example) for example in contents.pop("examples"))
        study = _parse(Study, contents | {"protocol": protocol, "examples": examples})
        check_study(study)
    except UsageError as error:
        raise UserError(f"{path}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged: {type(error).__name__} {error}") from error
    return study


def fingerprint(study: Study) -> str:
    """Returns a hash of all that decides what people are shown, which title and link do not."""
    shown = dataclasses.asdict(dataclasses.replace(study, title="", completion_url=""))
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def image_file(study_dir: Path, token: str) -> Path:
    """Returns the file of an image."""
    return study_dir / IMAGES_FOLDER / f"{token}.png"


def check_images(study_dir: Path, study: Study) -> None:
    """Raises UserError when an image of the study is missing."""
    for example in study.examples:
        for token in example.tokens:
            if not image_file(study_dir, token).is_file():
                raise UserError(
                    f"{image_file(study_dir, token)} is missing; it is an image of {example.example_id}"
                )


def read_secret(study_dir: Path) -> bytes:
    """Returns the key that makes completion codes and the addresses of images.

    Raises:
      UserError: when the key is missing or damaged.
    """
    file = study_dir / SECRET_FILE
    try:
        secret = bytes.fromhex(file.read_text("ascii"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read: {error}. It came with the study; restore it") from error
    if len(secret) < 32:
        raise UserError(f"{file} is cut short. It came with the study; restore it")
    return secret


def check_study(study: Study) -> None:
    """Raises UsageError, which names the field, when a study cannot be run."""
    if study.version != VERSION:
        raise UsageError(f"the study has version {study.version}, and this program reads version {VERSION}")
    check_protocol(study.protocol)
    check_algorithms(study.algorithms)
    check_texts(study.title, study.completion_url)
    if len(study.image_size) != 2 or min(study.image_size) < 1:
        raise UsageError(f"`image_size` must be height and width in px. Received: {study.image_size}")
    _check_examples(study)


def check_texts(title: str, completion_url: str) -> None:
    """Raises UsageError, which names the field, for texts that the pages cannot have."""
    if completion_url and not re.fullmatch(r"https?://\S+", completion_url):
        raise UsageError(f"`completion_url` must start with https://. Received: {completion_url}")
    if not title.strip():
        raise UsageError("`title` must not be empty")


def check_algorithms(names: tuple[str, ...]) -> None:
    """Raises UsageError for names that files and tables cannot have."""
    if not names or len({name.lower() for name in names}) < len(names):
        raise UsageError(f"algorithms must be named, each differently. Received: {', '.join(names)}")
    for name in names:
        if not _NAME.fullmatch(name):
            raise UsageError(f"an algorithm's name is letters, digits, spaces, . _ + and -. Received: {name}")


def check_protocol(protocol: Protocol) -> None:
    """Raises UsageError, which names the field, for a protocol that cannot be followed."""
    for name in ("practice_trials", "vigilance_trials"):
        if getattr(protocol, name) < 0:
            raise UsageError(f"`{name}` must be 0 or more. Received: {getattr(protocol, name)}")
    if protocol.test_trials < 1:
        raise UsageError(f"`test_trials` must be 1 or more. Received: {protocol.test_trials}")
    if not 0.05 <= protocol.exposure_sec <= 60:
        raise UsageError(f"`exposure_sec` must be from 0.05 to 60. Received: {protocol.exposure_sec}")
    if not 0 <= protocol.least_gap_sec <= protocol.most_gap_sec <= 60:
        gaps = f"{protocol.least_gap_sec} and {protocol.most_gap_sec}"
        raise UsageError(
            f"`least_gap_sec` and `most_gap_sec` must be from 0 to 60, and the first must not be larger. "
            f"Received: {gaps}"
        )
    if not 0 <= protocol.feedback_sec <= 60:
        raise UsageError(f"`feedback_sec` must be from 0 to 60. Received: {protocol.feedback_sec}")
    if protocol.pairing not in PAIRINGS:
        raise UsageError(f"`pairing` must be {' or '.join(PAIRINGS)}. Received: {protocol.pairing}")


def check_count(examples: int, protocol: Protocol) -> None:
    """Raises UsageError if there are fewer examples than a session has trials."""
    if examples < protocol.trials:
        raise UsageError(
            f"a session of {protocol.practice_trials} practice, {protocol.test_trials} test and "
            f"{protocol.vigilance_trials} vigilance trials needs {protocol.trials} different examples, and "
            f"there are {examples}. Add images, or ask for fewer `practice_trials` and `test_trials`"
        )


def _check_examples(study: Study) -> None:
    protocol = study.protocol
    check_count(len(study.examples), protocol)
    if protocol.pairing == "different" and len(study.examples) < 2:
        raise UsageError("`pairing=different` needs two examples or more")
    tokens: list[str] = []
    for example in study.examples:
        if set(example.generated) != set(study.algorithms):
            raise UsageError(f"example {example.example_id} lacks an image of some algorithm")
        if protocol.vigilance_trials and not example.vigilance:
            raise UsageError(f"example {example.example_id} lacks its image for vigilance trials")
        tokens += example.tokens
    if len({example.example_id for example in study.examples}) < len(study.examples):
        raise UsageError("two examples have the same example_id")
    if not all(_TOKEN.fullmatch(token) for token in tokens) or len(set(tokens)) < len(tokens):
        raise UsageError("images must have different names of 32 hexadecimal digits")


def _parse(kind: Any, values: Mapping[str, Any]) -> Any:
    """Returns a dataclass made of values from JSON, each of the type that its field has."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := set(values) - set(fields):
        raise UsageError(f"there is no field {', '.join(sorted(unknown))}")
    parsed: dict[str, Any] = {}
    for name, value in values.items():
        expected: Any = typing.get_origin(fields[name].type) or fields[name].type
        if expected is tuple and isinstance(value, list):
            value = tuple(value)
        if expected is float and type(value) is int:
            value = float(value)
        if not isinstance(value, expected) or isinstance(value, bool):
            raise UsageError(f"{name} must be of type {getattr(expected, '__name__', expected)}")
        parsed[name] = value
    return kind(**parsed)
