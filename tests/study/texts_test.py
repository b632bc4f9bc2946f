"""All words of the pages in one file, in another language."""

import json

import pytest

from tests.helpers import studies
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.study.__main__ import main
from tfpix2pix.study.creation import create_study
from tfpix2pix.study.folder import Study, load_study
from tfpix2pix.study.page import render_page
from tfpix2pix.study.texts import TEXTS, read_texts, read_words, render_texts


def write(path, **changes):
    """Writes the texts with changes; None removes one."""
    texts = json.loads(render_texts()) | changes
    path.write_text(json.dumps({key: text for key, text in texts.items() if text is not None}))
    return path


def test_the_command_writes_what_create_takes(tmp_path, capsys):
    main(["study", "texts"])
    (tmp_path / "texts.json").write_text(capsys.readouterr().out)
    assert read_texts(tmp_path / "texts.json") == TEXTS


def test_a_translation_is_on_the_page_and_in_the_files_to_edit(tmp_path):
    german = {
        "language": "de",
        "agree": "Ich habe das gelesen & nehme teil.",
        "consent": ["Dauer: {minutes} Minuten.", "", "[Researcher: bitte ersetzen]"],
        "refused_other_tab": "</script>Ein anderer Reiter.",
    }
    texts = read_texts(write(tmp_path / "german.json", **german))
    study = Study("Echt?", 3, (), (), studies.BRIEF, (32, 32))
    create_study(tmp_path / "study", studies.make_images(3), study, texts)
    assert (tmp_path / "study/consent.md").read_text().startswith("Dauer: 1 Minuten.\n")
    words = read_words(tmp_path / "study")
    assert words["agree"] == german["agree"] and "consent" not in words
    page = render_page(tmp_path / "study", load_study(tmp_path / "study"), words)
    assert '<html lang="de" dir="ltr">' in page
    assert "<span>Ich habe das gelesen &amp; nehme teil.</span>" in page
    assert "</script>Ein" not in page and "\\u003c/script\\u003eEin anderer Reiter." in page
    arabic = render_page(tmp_path / "study", load_study(tmp_path / "study"), {**words, "language": "ar-EG"})
    assert '<html lang="ar-EG" dir="rtl">' in arabic


def test_a_study_of_an_earlier_version_has_english_words(tmp_path):
    studies.make_study(tmp_path / "study")
    (tmp_path / "study" / "texts.json").unlink()
    assert read_words(tmp_path / "study")["copy_code"] == "Copy"
    (tmp_path / "study" / "texts.json").write_text('{"language": "en"}')
    with pytest.raises(UserError, match="texts.json lacks preview, "):
        read_words(tmp_path / "study")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"agree": None, "copy_code": None}, "german.json lacks agree, copy_code; .* writes all keys"),
        ({"agreee": "x"}, "german.json has unknown keys: agreee"),
        ({"agree": " "}, "agree must be a text or a list of lines, and not empty"),
        ({"agree": ["a", 1]}, "agree must be a text or a list of lines"),
        ({"begin": "Los"}, r"begin must have \{trials\}, as the English text has. Received: Los"),
        ({"agree": "Ja {name}"}, r"agree must have no \{names\}"),
        ({"agree": "Ja }"}, r"agree must have no \{names\}"),
        ({"language": "German!"}, "language must be a tag such as en or pt-BR"),
    ],
)
def test_texts_that_do_not_fit_are_refused(tmp_path, changes, reason):
    with pytest.raises(UsageError, match=reason):
        read_texts(write(tmp_path / "german.json", **changes))


@pytest.mark.parametrize("contents", ["", "[]", "{"])
def test_a_file_that_holds_no_texts_is_refused(tmp_path, contents):
    (tmp_path / "texts.json").write_text(contents)
    with pytest.raises(UsageError, match=r"texts\.json"):
        read_texts(tmp_path / "texts.json")
