"""The folder of a study, and `study.json`, which says what is shown to people and how.

    study.json          this module's `Study`
    images/<token>.png  all images, under names that do not tell real from generated ones
    consent.md          what people agree to; Markdown, yours to edit
    instructions.md     what people are told to do; Markdown, yours to edit
    debriefing.md       what people are told at the end; Markdown, yours to edit
    texts.json          all other words of the pages, which `texts.py` reads
    secret.key          makes completion codes and the addresses of images; keep it secret
    answers.sqlite      sessions and answers, which `store.py` writes

To analyse a study, take `load_study(study_dir)` and the dataclasses below. Measured exposures are to be
compared with `study.protocol.exposure_sec`.
"""

import dataclasses
import hashlib
import itertools
import json
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.study.protocol import (
    Protocol,
    Question,
    Rules,
    check_count,
    check_protocol,
    check_questions,
    later,
)

STUDY_FILE = "study.json"
IMAGES_FOLDER = "images"
CONSENT_FILE = "consent.md"
PLACEHOLDER = "[Researcher:"  # in the consent that `create` writes
INSTRUCTIONS_FILE = "instructions.md"
DEBRIEFING_FILE = "debriefing.md"
SECRET_FILE = "secret.key"
ANSWERS_FILE = "answers.sqlite"

VERSION = 1
_TOKEN = re.compile(r"[0-9a-f]{32}")
# Names of algorithms become labels of tables, files and plots.
_NAME = re.compile(r"[\w][\w.+ -]{0,63}")


@dataclasses.dataclass(frozen=True)
class Example:
    """One real image and what each algorithm made of its input.

    Attributes:
      example_id: name of the images in the folders that they came from.
      real: token of the real image; empty in a preference study, which does not show it.
      generated: algorithm -> token of its image.
      vigilance: token of the broken image; empty in a study without vigilance trials.
      input: token of the input; empty in a study that does not show it.
    """

    example_id: str
    real: str
    generated: Mapping[str, str]
    vigilance: str = ""
    input: str = later("")

    @property
    def tokens(self) -> tuple[str, ...]:
        """Returns the tokens of all images."""
        return (*self.generated.values(), *filter(None, [self.real, self.vigilance, self.input]))


@dataclasses.dataclass(frozen=True)
class Study:
    """A study as `study.json` holds it.

    Attributes:
      title: heading of the pages.
      seed: decides the names of the images, and whose turn it is among algorithms with as many sessions.
      algorithms: names of the algorithms.
      examples: the examples, each with an image of every algorithm.
      protocol: what happens in a session.
      image_size: (height, width) px of every image.
      completion_url: link at the end, back to a crowd platform; empty if there is none.
      decline_url: link for people who do not agree to take part; empty if there is none.
      screen_out_url: link for people who cannot take part; empty if there is none.
      exit_questions: what people are asked after the last trial.
      rules: which answers count, fixed before there are any.
      version: version of the file's format.
    """

    title: str
    seed: int
    algorithms: tuple[str, ...]
    examples: tuple[Example, ...]
    protocol: Protocol = Protocol()
    image_size: tuple[int, int] = (256, 256)
    completion_url: str = ""
    decline_url: str = later("")
    screen_out_url: str = later("")
    exit_questions: tuple[Question, ...] = later(())
    rules: Rules = later(Rules())
    version: int = VERSION

    @property
    def conditions(self) -> tuple[str, ...]:
        """Returns what a person is assigned to one of: an algorithm, or a pair of them, such as `L1/cGAN`."""
        if not self.protocol.has_preferences:
            return self.algorithms
        return tuple("/".join(pair) for pair in itertools.combinations(self.algorithms, 2))


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
        contents["protocol"] = _parse(Protocol, contents["protocol"])
        contents["examples"] = tuple(_parse(Example, each) for each in contents["examples"])
        questions = (_parse(Question, each) for each in contents.get("exit_questions", ()))
        contents["exit_questions"] = tuple(questions)
        contents["rules"] = _parse(Rules, contents.get("rules", {}))
        study = _parse(Study, contents)
        check_study(study)
    except UsageError as error:
        raise UserError(f"{path}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged: {type(error).__name__} {error}") from error
    return study


def fingerprint(study: Study) -> str:
    """Returns a hash of all that decides what people are shown and which answers count.

    Title and links do not. Studies of earlier versions keep the hash that these versions gave them.
    """
    links = dict.fromkeys(("title", "completion_url", "decline_url", "screen_out_url"), "")
    shown = _as_json(dataclasses.replace(study, **links))  # type: ignore[arg-type]
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def _as_json(value: Any) -> Any:
    """Returns a dataclass as JSON has it, without fields that are later and as if they were not there."""
    if not dataclasses.is_dataclass(value):
        return [_as_json(each) for each in value] if isinstance(value, tuple) else value
    fields = [(field, getattr(value, field.name)) for field in dataclasses.fields(value)]
    return {
        field.name: _as_json(each)
        for field, each in fields
        if not (field.metadata.get("later") and each == field.default)
    }


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
    check_algorithms(study.algorithms, study.protocol)
    check_title(study.title)
    check_urls(study)
    check_questions(study.exit_questions)
    study.rules.check()
    if len(study.image_size) != 2 or min(study.image_size) < 1:
        raise UsageError(f"`image_size` must be height and width in px. Received: {study.image_size}")
    _check_examples(study)


def check_title(title: str) -> None:
    """Raises UsageError for a title that the pages cannot have."""
    if not title.strip():
        raise UsageError("`title` must not be empty")


def check_urls(study: Study) -> None:
    """Raises UsageError, which names the field, for links that the pages cannot have."""
    for name in ("completion_url", "decline_url", "screen_out_url"):
        if (url := getattr(study, name)) and not re.fullmatch(r"https?://\S+", url):
            raise UsageError(f"`{name}` must start with https://. Received: {url}")


def check_algorithms(names: tuple[str, ...], protocol: Protocol) -> None:
    """Raises UsageError for names that files and tables cannot have, and for too few of them."""
    if protocol.has_preferences and len(names) < 2:
        raise UsageError(f"`design=preference` compares two algorithms or more. Received: {', '.join(names)}")
    if not names or len({name.lower() for name in names}) < len(names):
        raise UsageError(f"algorithms must be named, each differently. Received: {', '.join(names)}")
    for name in names:
        if not _NAME.fullmatch(name):
            raise UsageError(f"an algorithm's name is letters, digits, spaces, . _ + and -. Received: {name}")


def _check_examples(study: Study) -> None:
    protocol = study.protocol
    check_count(len(study.examples), protocol)
    if protocol.pairing == "different" and len(study.examples) < 2:
        raise UsageError("`pairing=different` needs two examples or more")
    tokens: list[str] = []
    for example in study.examples:
        if set(example.generated) != set(study.algorithms):
            raise UsageError(f"example {example.example_id} lacks an image of some algorithm")
        needed = {
            "real image": not protocol.has_preferences and not example.real,
            "image for vigilance trials": protocol.vigilance_trials and not example.vigilance,
            "input": protocol.show_input and not example.input,
        }
        for kind, is_missing in needed.items():
            if is_missing:
                raise UsageError(f"example {example.example_id} lacks its {kind}")
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
        if expected is types.UnionType:
            expected = type(None) if value is None else typing.get_args(fields[name].type)[0]
        if expected is tuple and isinstance(value, list):
            value = tuple(value)
        if expected is float and type(value) is int:
            value = float(value)
        if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
            raise UsageError(f"{name} must be of type {getattr(expected, '__name__', expected)}")
        parsed[name] = value
    return kind(**parsed)
