"""All words of the participant's pages, and how a translation of them is read.

`{name}` stands for what the pages fill in. A text is Markdown where a person reads it in paragraphs: consent,
instructions and debriefing, which `create` writes into files of the study's folder, to be edited there.
"""

import json
import re
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.study.protocol import Protocol

TEXTS_FILE = "texts.json"
Texts = Mapping[str, str]
# Files of earlier versions do not have these, and get them in English.
LATER = ("question_variety",)

# These become files of the study's folder, in Markdown.
_SHEETS = {
    "consent": """\
You are invited to take part in a study about computer-generated images. You will see pairs of images and \
answer a question about each pair. It takes about {minutes} min.

We store your answers and how long they took, the size of your browser's window and of the images on your \
screen and, if a platform sent you here, your ID on that platform. A cookie remembers where you are in the \
study. We do not ask for your name.

Taking part is voluntary. You can stop at any time by closing this page.

[Researcher: replace this paragraph in consent.md. Who runs the study, how to reach you, what is done with \
the data and for how long, payment, and the approval of your ethics board.]
""",
    "instructions_real_vs_fake": """\
In each trial you see two images, one after the other, each for {seconds} s. One is real; the other was \
made by a computer program. Then they disappear, and you say which one was the fake.

- Press 1 or ← if the first image was the fake, 2 or → if the second was; or use the buttons.
- Take as long as you like to answer. If you are not sure, guess.
- Keep looking at the gray area, and stay in this window while images are shown.
""",
    "instructions_preference": """\
In each trial you see two images, one after the other, each for {seconds} s. Computer programs made both. \
Then they disappear, and you answer a question about them: {question}

- Press 1 or ← for the first image, 2 or → for the second; or use the buttons.
- Take as long as you like to answer. If you are not sure, guess.
- Keep looking at the gray area, and stay in this window while images are shown.
""",
    "instructions_preference_unlimited": """\
In each trial you see two images side by side. Computer programs made both. They stay until you answer a \
question about them: {question}

- Press 1 or ← for the left image, 2 or → for the right one; or use the buttons.
- Take as long as you like to answer. If you are not sure, guess.
""",
    "instructions_input": "- The third image is what both programs were given.\n",
    "instructions_feedback": (
        "- The first {trials} are for practice: after each you are told whether you were right.\n"
    ),
    "instructions_practice": "- The first {trials} are for practice.\n",
    "debriefing_real_vs_fake": """\
We study how often people take images that a computer program has made for real ones. In each trial, one \
image was real, and one was made by the program. All of the latter that you saw came from one program; \
other people may see those of another one.
""",
    "debriefing_preference": """\
We study which of several computer programs makes better images. In each trial, both images were made from \
the same input by two programs, which changed sides at random. There were no right or wrong answers, except \
in trials that check whether people look.
""",
}
_WORDS = {
    # A language tag, which tells browsers and screen readers how to read the page.
    "language": "en",
    "preview": "Preview. Nothing is recorded.",
    "preview_label": "Preview",
    "connection_lost": "The connection is lost. Your answers are safe; this page keeps trying.",
    "loading": "One moment …",
    "needs_javascript": (
        "This study times its images with JavaScript, which is off in this browser. "
        "Please turn it on and reload the page."
    ),
    "not_accepted": (
        "You see a preview of this task. Accept it on the platform first; then open this page again."
    ),
    "agree": "I have read this, and I agree to take part.",
    "decline": "I do not want to take part",
    "continue": "Continue",
    "declined_title": "You do not take part",
    "declined": "Nothing about you was stored. You can close this page.",
    "instructions_title": "What to do",
    "steps_label": "The course of a trial",
    "step_image": "one image",
    "step_blank": "blank",
    "step_other_image": "another",
    "step_choice": "1 or 2?",
    "step_answer": "your answer",
    "begin": "Begin: trial 1 of {trials}",
    "begin_practice": "Begin: {practice} for practice, then {trials}",
    "welcome_back_title": "Welcome back",
    "welcome_back": "You have answered {done} of {trials} trials. The next one starts when you continue.",
    "practice_over_title": "Practice is over",
    "practice_over": (
        "Now the real part, as before, but you will not be told whether you are right. Trials left: {trials}."
    ),
    "practice_over_preference": "Now the real part, as before. Trials left: {trials}.",
    "practice_progress": "Practice {number} of {total}",
    "trial_progress": "Trial {number} of {total}",
    "watch": "Watch …",
    "question_real_or_fake": "Which image is the fake?",
    "question_realism": "Which image looks more realistic?",
    "question_match": "Which image matches the input better?",
    "question_variety": "In which image do the four pictures differ more from each other?",
    "choice": "Image {number}",
    "input": "Input",
    "feedback_right": "Right: image {number} was the fake.",
    "feedback_wrong": "Wrong: image {number} was the fake.",
    "real": "real",
    "fake": "fake",
    "exit_title": "Before you go",
    "exit_hint": "You may leave out any question.",
    "exit_send": "Send",
    "thanks_title": "Thank you",
    "thanks": "You have finished the study, and all your answers are stored.",
    "code": "Your completion code:",
    "copy_code": "Copy",
    "code_copied": "Copied",
    "code_hint": (
        "If a platform sent you here, enter this code there. The code stays on this page; you can come back "
        "to it from this browser."
    ),
    "debriefing_title": "What the study is about",
    "return": "Back to the platform",
    "stopped_title": "The study stopped here",
    "cannot_title": "You cannot take part",
    "reload": "Continue in this tab",
    "page_failed": "The page failed: {error}",
    "refused_no_cookies": (
        "This browser keeps no cookies. Please allow them for this site, and reload the page."
    ),
    "refused_not_accepted": "Please accept the task on the platform before you begin.",
    "refused_no_id": "This link lacks your worker ID. Please open it from the platform that invited you.",
    "refused_damaged_link": (
        "The link that you opened is damaged: it does not hold your ID as the platform gave it to you. "
        "Please open it again from the platform, or ask the people who invited you for a new link."
    ),
    "refused_again": (
        "This worker ID has begun or finished the study in another browser. A person can take part once; to "
        "go on with a session, open the link in the browser where it was begun."
    ),
    "refused_narrow": (
        "This window is too narrow for the images. Please open the link on a larger screen, or make the "
        "window wider and reload the page."
    ),
    "refused_no_session": "This browser has no session of this study. Please open the link anew.",
    "refused_other_tab": "The study was opened in another tab or window, and goes on there.",
    "refused_other_trial": "It is another trial's turn. Please reload the page to go on.",
    "refused_not_shown": "This trial was not shown yet. Please reload the page to go on.",
    "refused_early": "The answer came before both images were shown. Please reload the page.",
    "refused_answered": "This was answered already, and answers cannot be changed.",
}
# Every text in English, by its key.
TEXTS: Texts = {**_WORDS, **_SHEETS}
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


def render_texts(texts: Texts = TEXTS) -> str:
    """Returns texts as JSON for people to edit: a text of several lines is a list of them."""
    shown = {key: text.split("\n") if "\n" in text else text for key, text in texts.items()}
    return json.dumps(shown, indent=1, ensure_ascii=False) + "\n"


def select_words(texts: Texts) -> Texts:
    """Returns the texts that do not become files of their own in a study's folder."""
    return {key: texts[key] for key in _WORDS}


def choose_question(protocol: Protocol, texts: Texts) -> str:
    """Returns the question that each trial asks."""
    return texts[f"question_{protocol.criterion if protocol.has_preferences else 'real_or_fake'}"]


def read_texts(file: Path, expected: Texts = TEXTS) -> Texts:
    """Reads texts in another language or in other words.

    Args:
      file: JSON of key -> text, or a list of its lines. Keys of `LATER` may be missing.
      expected: the keys that must be there, and texts with the same `{names}`.

    Raises:
      UsageError: when the file cannot be read, a key is missing or unknown, or a text does not have the
        `{names}` of the English one.
    """
    try:
        contents = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(contents, dict):
        raise UsageError(f"{file} must hold an object of key and text")
    contents = {**{key: expected[key] for key in LATER if key in expected}, **contents}
    for problem, keys in (
        ("lacks", [key for key in expected if key not in contents]),
        ("has unknown keys:", [key for key in contents if key not in expected]),
    ):
        if keys:
            raise UsageError(
                f"{file} {problem} {', '.join(keys)}; python -m tfpix2pix.study texts writes all keys"
            )
    texts = {key: _join(file, key, contents[key]) for key in expected}
    for key, text in texts.items():
        _check_names(file, key, text, expected[key])
    if not _LANGUAGE.fullmatch(texts["language"]):
        raise UsageError(f"{file}: language must be a tag such as en or pt-BR. Received: {texts['language']}")
    return texts


def read_words(study_dir: Path) -> Texts:
    """Returns the words of a study's pages: those of its folder, or English in a study of an earlier version.

    Raises:
      UserError: when the file in the folder cannot be used.
    """
    file = study_dir / TEXTS_FILE
    if not file.is_file():
        return select_words(TEXTS)
    try:
        return read_texts(file, select_words(TEXTS))
    except UsageError as error:
        raise UserError(str(error)) from error


def _join(file: Path, key: str, value: Any) -> str:
    lines = value if isinstance(value, list) else [value]
    if not all(isinstance(line, str) for line in lines) or not "".join(lines).strip():
        raise UsageError(f"{file}: {key} must be a text or a list of lines, and not empty")
    return "\n".join(lines)


def _check_names(file: Path, key: str, text: str, english: str) -> None:
    if _find_names(text) != (names := _find_names(english)):
        wanted = ", ".join(f"{{{name}}}" for name in names or ()) or "no {names}"
        raise UsageError(f"{file}: {key} must have {wanted}, as the English text has. Received: {text}")


def _find_names(text: str) -> list[str] | None:
    """Returns the names of what is filled in, in order; None where a brace is alone."""
    try:
        return sorted({name for _, name, *_ in string.Formatter().parse(text) if name is not None})
    except ValueError:
        return None
