"""Making a study: what it holds, what it refuses, and that names and files say nothing."""

import dataclasses
import itertools
import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import boundaries_test
from tests.helpers import runs, studies, tiny_run
from tfpix2pix.config.config import make_config
from tfpix2pix.export import model_card
from tfpix2pix.export.saved_model import export_saved_model
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.files.image_files import BadImageError
from tfpix2pix.pipelines.synthetic.facades import draw_pair, pair_index
from tfpix2pix.run import splits
from tfpix2pix.run.generator import load_generator
from tfpix2pix.study.__main__ import main
from tfpix2pix.study.creation import create_study
from tfpix2pix.study.folder import Example, Study, fingerprint, image_file, load_study, read_secret
from tfpix2pix.study.images import ExamplePictures, StudyImages, find_in_folders, translate_split
from tfpix2pix.study.plan import plan_session
from tfpix2pix.study.protocol import (
    LONGEST_ANSWER,
    MOST_QUESTIONS,
    Protocol,
    Question,
    Rules,
    check_protocol,
)
from tfpix2pix.translate.translator import Translator

STUDY = Study("t", 3, (), (), studies.BRIEF, (32, 32))


def write_folders(folder: Path, count: int = 3) -> list[str]:
    """Writes PNG images of both algorithms; returns the flags that name them."""
    for kind in ("real", "L1", "cGAN"):
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            picture = Image.fromarray(studies.draw_picture(kind, number))
            picture.save(folder / kind / f"house {number}.png", pnginfo=None)
    generated = [f"--generated={name}={folder / name}" for name in ("L1", "cGAN")]
    return [f"--real={folder / 'real'}", *generated, "--practice_trials=1", "--test_trials=2"]


def run_create(*arguments: str) -> None:
    main(["study", "create", *arguments])


def read_picture(folder: Path, token: str) -> np.ndarray:
    return np.asarray(Image.open(image_file(folder, token)))


def list_chunks(contents: bytes) -> set[bytes]:
    chunks, place = set(), 8
    while place < len(contents):
        (length,) = struct.unpack(">I", contents[place : place + 4])
        chunks.add(contents[place + 4 : place + 8])
        place += 12 + length
    return chunks


def test_create_from_folders(tmp_path):
    folder = tmp_path / "study"
    create = [sys.executable, "-m", "tfpix2pix.study", "create", f"--study_dir={folder}", "--image_size=32"]
    result = runs.call([*create, *write_folders(tmp_path / "in")])
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0] == f"{folder}: 3 examples, algorithms L1, cGAN"
    study = load_study(folder)
    assert study.algorithms == ("L1", "cGAN")
    assert [example.example_id for example in study.examples] == ["house 0", "house 1", "house 2"]
    for number, example in enumerate(study.examples):
        tokens = {"real": example.real, **example.generated}
        for kind, token in tokens.items():
            assert (read_picture(folder, token) == studies.draw_picture(kind, number)).all()
    assert len(list((folder / "images").iterdir())) == 9
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == [
        "consent.md",
        "debriefing.md",
        "instructions.md",
        "secret.key",
        "study.json",
        "texts.json",
    ]
    assert (folder / "secret.key").stat().st_mode & 0o777 == 0o600
    assert "ethics board" in (folder / "consent.md").read_text()


def test_files_and_names_do_not_tell_real_from_generated(tmp_path):
    folder = tmp_path / "study"
    study = create_study(folder, studies.make_images(3), dataclasses.replace(STUDY, protocol=studies.BRIEF))
    files = sorted((folder / "images").iterdir())
    headers = {file.read_bytes()[:33] for file in files}  # signature, size, depth, colour type
    assert len(headers) == 1
    assert {frozenset(list_chunks(file.read_bytes())) for file in files} == {
        frozenset({b"IHDR", b"IDAT", b"IEND"})
    }
    tokens = [file.stem for file in files]
    assert all(len(token) == 32 and set(token) <= set("0123456789abcdef") for token in tokens)
    again = create_study(tmp_path / "again", studies.make_images(3), STUDY)
    assert again == study
    other = create_study(tmp_path / "other", studies.make_images(3), dataclasses.replace(STUDY, seed=4))
    assert not set(tokens) & {example.real for example in other.examples}
    assert read_secret(folder) != read_secret(tmp_path / "again")


def test_images_are_resized_alike_and_broken_ones_are_mosaics(tmp_path):
    protocol = dataclasses.replace(studies.BRIEF, vigilance_trials=1)
    study = dataclasses.replace(STUDY, protocol=protocol, image_size=(64, 64))
    study = create_study(tmp_path / "study", studies.make_images(4), study)
    for example in study.examples:
        for token in (example.real, *example.generated.values(), example.vigilance):
            assert read_picture(tmp_path / "study", token).shape == (64, 64, 3)
    real = np.arange(32 * 32 * 3, dtype=np.uint32).reshape(32, 32, 3).astype(np.uint8)
    images = StudyImages(
        ("a",), ("x", "y", "z", "w"), lambda: (ExamplePictures({"a": real + 9}, real + n) for n in range(4))
    )
    study = dataclasses.replace(STUDY, protocol=protocol)
    study = create_study(tmp_path / "mosaic", images, study)
    broken = read_picture(tmp_path / "mosaic", study.examples[0].vigilance)
    cells = broken.reshape(8, 4, 8, 4, 3)
    assert (cells == cells[:, :1, :, :1]).all()
    assert len(np.unique(broken.reshape(-1, 3), axis=0)) > 8


def test_create_from_a_run_translates_its_split(tmp_path):
    workdir = tiny_run.write_run(tmp_path / "tiny")
    images = translate_split({"tiny": workdir, "again": workdir}, "val", noise_seed=5, limit=4)
    assert images.algorithms == ("tiny", "again")
    shown = list(images.read())
    assert len(shown) == len(images.example_ids) == 4
    photo = draw_pair(0, pair_index("val", 0), (32, 32)).photo
    assert (shown[0].real == photo).all()
    for each in shown:
        assert (each.generated["tiny"] == each.generated["again"]).all()
        assert each.input.shape == photo.shape and not (each.input == each.real).all()
    assert not (shown[0].generated["tiny"] == shown[1].generated["tiny"]).all()
    run_create(
        f"--study_dir={tmp_path / 'study'}",
        f"--model={workdir}",
        "--max_examples=3",
        *("--practice_trials=1", "--test_trials=2", "--image_size=64x64"),
    )
    study = load_study(tmp_path / "study")
    assert study.algorithms == ("tiny",)
    assert read_picture(tmp_path / "study", study.examples[0].real).shape == (64, 64, 3)


def test_a_run_of_label_maps_is_studied_with_their_instances(tmp_path):
    config = boundaries_test.config_of(
        boundaries_test.write_dataset(tmp_path / "data"),
        **{"input_encoding": "one_hot", "instance_features": 2, "feature_depth": 2, "feature_filters": 2},
    )
    run = tiny_run.write_run(tmp_path / "run", config, splits.open_split(config, "train"))
    (shown,) = translate_split({"run": run}, "val").read()
    label_map, ids = boundaries_test.draw_label_map(2), boundaries_test.draw_ids(2)
    assert (shown.input == label_map).all()
    translate = Translator(run)
    expected, without = translate(label_map, instance_ids=ids), translate(label_map)
    assert np.abs(shown.generated["run"].astype(int) - expected).max() <= 1
    assert np.abs(shown.generated["run"].astype(int) - without).max() > 5


def test_variety_is_judged_by_sheets_of_four_samples(tmp_path):
    config = dataclasses.replace(tiny_run.CONFIG, latent_size=3)
    workdir = tiny_run.write_run(tmp_path / "latent", config)
    alone = next(iter(translate_split({"tiny": workdir}, "val", limit=2).read()))
    sheets = next(iter(translate_split({"tiny": workdir}, "val", limit=2, shows_samples=True).read()))
    sheet, picture = sheets.generated["tiny"].astype(int), alone.generated["tiny"].astype(int)
    assert sheet.shape == (64, 64, 3) and np.abs(sheet[:32, :32] - picture).max() <= 1
    samples = [sheet[top : top + 32, left : left + 32] for top in (0, 32) for left in (0, 32)]
    assert all(np.abs(one - other).mean() > 0.5 for one, other in itertools.combinations(samples, 2))
    assert (sheets.real == alone.real).all()


def test_a_file_that_breaks_meanwhile_is_named(tmp_path):
    folder = runs.write_dataset(tmp_path / "data", train=1, val=3)
    workdir = tiny_run.write_run(tmp_path / "tiny", runs.tiny_config(folder, cache_mib=0))
    bad = folder / "val" / "val-1.png"
    bad.write_bytes(bad.read_bytes()[:-2000])
    shown = translate_split({"tiny": workdir}, "val").read()
    next(shown)
    with pytest.raises(BadImageError, match=f"^{bad} is damaged or cut short and cannot be decoded$"):
        list(shown)


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"direction": "AtoB"}, {"image_size": 48}])
def test_runs_with_different_real_images_are_not_compared(tmp_path, change):
    settings = {"dataset": "synthetic", "direction": "BtoA", "image_size": 32, "depth": 3, "base_filters": 4}
    one = tiny_run.write_run(tmp_path / "one")
    other = tiny_run.write_run(tmp_path / "other", make_config(**settings | change))
    models = [f"--model={one}", f"--model={other}", "--max_examples=3", "--image_size=32"]
    with pytest.raises(
        UsageError, match="other and .*one have different real images of .* one dataset, direction"
    ):
        run_create(f"--study_dir={tmp_path / 'study'}", *models, "--practice_trials=1", "--test_trials=2")
    assert not (tmp_path / "study").exists()


def test_a_saved_model_is_studied_on_what_its_card_names(tmp_path):
    """It was exported before its dataset moved; a card knows the dataset's name, and no folder of data."""
    data_dir = runs.write_dataset(tmp_path / "moved" / "tiny", val=5).parent
    settings = {"dataset": "tiny", "direction": "BtoA", "image_size": 32, "depth": 3, "base_filters": 4}
    config = make_config(**settings, data_dir=str(data_dir))
    run = tiny_run.write_run(tmp_path / "run", config)
    about = model_card.describe_run(run, config, 2)
    saved = export_saved_model(load_generator(run)[0], tmp_path / "saved", about=about, verify=False).parent
    images = translate_split({"run": run, "saved": saved}, "val", noise_seed=5, limit=3, data_dir=data_dir)
    assert images.example_ids == ("val-0", "val-1", "val-3")
    for place, shown in zip((0, 1, 3), images.read(), strict=True):
        with Image.open(data_dir / "tiny" / "val" / f"val-{place}.png") as pair:
            assert (shown.real == np.asarray(pair)[:, :32]).all()
        assert np.abs(shown.generated["run"].astype(int) - shown.generated["saved"]).max() <= 1
    run_create(
        f"--study_dir={tmp_path / 'study'}", f"--model={saved}", f"--data_dir={data_dir}", "--image_size=32",
        "--practice_trials=1", "--test_trials=2",
    )  # fmt: skip
    assert load_study(tmp_path / "study").algorithms == ("saved",)


def test_a_saved_model_that_does_not_say_what_it_learned_is_refused(tmp_path):
    saved = export_saved_model(tiny_run.build_generator(), tmp_path / "saved", verify=False)
    with pytest.raises(UsageError, match=r"saved/1 has no model_card\.json that says what it was trained on"):
        translate_split({"m": saved.parent}, "val")


def test_only_names_that_all_folders_have_count(tmp_path, capsys):
    write_folders(tmp_path, count=4)
    (tmp_path / "L1" / "house 3.png").unlink()
    (tmp_path / "cGAN" / "house 2.png").rename(tmp_path / "cGAN" / "villa.png")
    images = find_in_folders(tmp_path / "real", {name: tmp_path / name for name in studies.ALGORITHMS})
    assert images.example_ids == ("house 0", "house 1")
    assert "2 of 4 images have no counterpart" in capsys.readouterr().err


def test_a_warning_when_only_one_kind_is_jpeg(tmp_path, capsys):
    write_folders(tmp_path)
    for file in (tmp_path / "real").iterdir():
        Image.open(file).save(file.with_suffix(".jpg"))
        file.unlink()
    find_in_folders(tmp_path / "real", {"L1": tmp_path / "L1"})
    assert "compression" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("count", "pairing", "warns"), [(5, "different", True), (6, "different", False), (5, "same", False)]
)
def test_a_warning_when_a_person_sees_both_images_of_an_example(tmp_path, capsys, count, pairing, warns):
    study = dataclasses.replace(STUDY, protocol=dataclasses.replace(studies.BRIEF, pairing=pairing))
    study = create_study(tmp_path / "study", studies.make_images(count), study)
    assert ("with 3 trials and 5 examples" in capsys.readouterr().err) == warns
    trials = [plan_session(study, "L1", seed) for seed in range(20)]
    seen_twice = [
        {trial.example_id for trial in each} & {trial.real_example_id for trial in each} for each in trials
    ]
    assert any(seen_twice) == (warns or pairing == "same")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--test_trials=3"], "needs 4 different examples, and there are 3"),
        (["--generated=L1"], "--generated takes NAME=FOLDER"),
        (["--generated=a/b=x"], "an algorithm's name is"),
        (["--generated=l1=x"], "each differently"),
        (["--model=runs/x"], "expected either --model, or --real and --generated"),
        (
            ["--noise_seed=0"],
            "`noise_seed` would have no effect: the images come from --real and --generated",
        ),
        (["--split=test", "--data_dir=x"], "`split` and `data_dir` would have no effect"),
        (["--exposure_sec=0"], "`exposure_sec` must be from 0.05"),
        (["--least_gap_sec=2"], "`least_gap_sec` and `most_gap_sec` must be from 0 to 60"),
        (["--image_size=32x64"], "would change its proportions"),
        (["--image_size=big"], "--image_size is N or HxW"),
        (["--completion_url=javascript:alert(1)"], "`completion_url` must start with https://"),
        (["--title= "], "`title` must not be empty"),
        (["stray"], "unexpected argument: stray"),
    ],
)
def test_create_refuses(tmp_path, arguments, reason):
    flags = write_folders(tmp_path / "in")
    with pytest.raises(UsageError, match=reason):
        run_create(f"--study_dir={tmp_path / 'study'}", *flags, "--image_size=32", *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def make_broken(**changes: np.ndarray) -> StudyImages:
    """Returns three examples, of which the last one is changed."""

    def read():
        for number in range(3):
            pictures = {kind: studies.draw_picture(kind, number) for kind in ("real", "L1")}
            pictures |= changes if number == 2 else {}
            yield ExamplePictures(pictures, pictures.pop("real"))

    return StudyImages(("L1",), ("x", "y", "z"), read)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"L1": studies.draw_picture("L1", 2, 64)},
            "z: its real image has 32x32 px, and the image of L1 64x64 px",
        ),
        ({"L1": studies.draw_picture("real", 2)}, "z: its real image and the image of L1 are the same"),
        ({"real": studies.draw_picture("real", 0)}, "needs 3 different examples, and there are 2"),
    ],
)
def test_images_that_do_not_go_together_leave_nothing_behind(tmp_path, changes, reason):
    with pytest.raises(UsageError, match=reason):
        create_study(tmp_path / "study", make_broken(**changes), STUDY)
    assert list(tmp_path.iterdir()) == []


def test_algorithms_with_the_same_image_are_refused(tmp_path):
    same = studies.draw_picture("L1", 0)

    def read():
        yield ExamplePictures({"L1": same, "cGAN": same.copy()}, studies.draw_picture("real", 0))

    study = dataclasses.replace(STUDY, protocol=Protocol(practice_trials=0, test_trials=1))
    with pytest.raises(UsageError, match="x: the image of L1 and the image of cGAN are the same"):
        create_study(tmp_path / "study", StudyImages(("L1", "cGAN"), ("x",), read), study)
    assert list(tmp_path.iterdir()) == []


def test_create_a_preference_study_with_its_questions_links_and_rules(tmp_path):
    flags = write_folders(tmp_path / "in", count=4)[1:]
    (tmp_path / "in" / "real").rename(tmp_path / "in" / "input")
    folder = tmp_path / "study"
    run_create(
        f"--study_dir={folder}", "--image_size=32", *flags, "--design=preference", "--criterion=match",
        "--show_input", f"--input={tmp_path / 'in' / 'input'}", "--exposure_sec=0", "--vigilance_trials=1",
        "--exit_question=Are you an artist? | yes | no", "--exit_question=What was odd?",
        "--decline_url=https://example.org/no", "--screen_out_url=https://example.org/out",
        "--least_vigilance_percent=100",
    )  # fmt: skip
    study = load_study(folder)
    assert study.title == "Which image matches the input better?"
    assert study.conditions == ("L1/cGAN",) and study.rules == Rules(least_vigilance_percent=100)
    assert study.exit_questions == (Question("Are you an artist?", ("yes", "no")), Question("What was odd?"))
    assert (study.decline_url, study.screen_out_url) == ("https://example.org/no", "https://example.org/out")
    for number, example in enumerate(study.examples):
        assert example.real == ""
        assert (read_picture(folder, example.input) == studies.draw_picture("real", number)).all()
        assert (read_picture(folder, example.generated["L1"]) == studies.draw_picture("L1", number)).all()
    instructions = (folder / "instructions.md").read_text()
    assert "They stay until you answer" in instructions and "matches the input better?" in instructions
    contents = json.loads((folder / "study.json").read_text())
    assert contents["rules"]["least_vigilance_percent"] == 100
    contents["rules"]["least_vigilance_percent"] = 0
    (folder / "study.json").write_text(json.dumps(contents))
    assert fingerprint(load_study(folder)) != fingerprint(study)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--show_input"], "`show_input` and `criterion` go with `design=preference`"),
        (["--exposure_sec=0"], "`exposure_sec` must be from 0.05 to 60, or 0 with `design=preference`"),
        (["--design=preference"], "this study takes its images from --generated"),
        (["--exit_question=a|b"], "needs two different answers or more"),
        (["--exit_question= |b|c"], "has an empty text"),
        (["--exit_question=a?"] * 101, "at most 100 exit questions. Received: 101"),
        ([f"--exit_question=a?|b|{'c' * 2001}"], "has 2,001 letters, and at most 2,000 are stored"),
        (["--decline_url=example.org"], "`decline_url` must start with https://"),
        (["--screen_out_url=example.org"], "`screen_out_url` must start with https://"),
        (["--least_window_px=-1"], "`least_window_px` must be from 0 to 10000"),
        (["--least_trials_percent=101"], "`least_trials_percent` must be from 0 to 100"),
        (["--texts=missing.json"], "missing.json cannot be read"),
    ],
)
def test_create_refuses_what_does_not_go_together(tmp_path, arguments, reason):
    flags = write_folders(tmp_path / "in")
    with pytest.raises(UsageError, match=reason):
        run_create(f"--study_dir={tmp_path / 'study'}", *flags, "--image_size=32", *arguments)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"criterion": "match"}, "`criterion=match` needs `show_input`"),
        ({"pairing": "different"}, "`pairing` must be same"),
    ],
)
def test_preferences_that_cannot_be_asked_are_refused(settings, reason):
    with pytest.raises(UsageError, match=reason):
        check_protocol(Protocol(design="preference", **settings))


def test_the_fingerprint_of_an_earlier_version_stays():
    examples = tuple(
        Example(f"{i}.png", f"{i:032x}", {"cGAN": f"{i + 100:032x}", "L1": f"{i + 200:032x}"})
        for i in range(5)
    )
    study = Study("Facades", 0, ("cGAN", "L1"), examples, Protocol(practice_trials=1, test_trials=4))
    assert fingerprint(study) == "aea060292e681198a93f8096e70ba68432d7786f07fdc358727c3489138fa007"


def test_only_its_owner_reads_which_images_are_real(tmp_path):
    studies.make_study(tmp_path / "study")
    for name in ("study.json", "secret.key"):
        assert (tmp_path / "study" / name).stat().st_mode & 0o777 == 0o600


def test_an_existing_study_stays(tmp_path):
    studies.make_study(tmp_path / "study")
    before = (tmp_path / "study" / "study.json").read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        run_create(f"--study_dir={tmp_path / 'study'}", *write_folders(tmp_path / "in"))
    assert (tmp_path / "study" / "study.json").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": 2}, "version 2"),
        ({"surprise": 1}, "no field surprise"),
        ({"seed": "3"}, "seed must be of type int"),
        ({"algorithms": ["L1", "cGAN", "third"]}, "lacks an image of some algorithm"),
        ({"examples": []}, "needs 3 different examples"),
        ({"protocol": {"test_trials": 0}}, "`test_trials` must be 1 or more"),
        ({"protocol": {"exposure_sec": True}}, "exposure_sec must be of type float"),
    ],
)
def test_a_study_that_cannot_be_run_is_refused(tmp_path, change, reason):
    studies.make_study(tmp_path / "study")
    file = tmp_path / "study" / "study.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(UserError, match=reason):
        load_study(tmp_path / "study")


def test_names_of_images_never_lead_elsewhere(tmp_path):
    studies.make_study(tmp_path / "study")
    file = tmp_path / "study" / "study.json"
    contents = json.loads(file.read_text())
    contents["examples"][0]["real"] = "../secret"
    file.write_text(json.dumps(contents))
    with pytest.raises(UserError, match="32 hexadecimal digits"):
        load_study(tmp_path / "study")


def test_studies_survive_being_written_and_read(tmp_path):
    protocol = Protocol(practice_trials=1, test_trials=2, vigilance_trials=1, exposure_sec=0.5)
    study = studies.make_study(tmp_path / "study", protocol, completion_url="https://example.org/?cc=1")
    assert load_study(tmp_path / "study") == study


def test_a_study_from_before_there_were_limits_of_questions_is_read(tmp_path):
    questions = (Question("a?", ("b", "c" * (LONGEST_ANSWER + 1))),) * (MOST_QUESTIONS + 1)
    study = studies.make_study(tmp_path / "study", exit_questions=questions)
    assert load_study(tmp_path / "study") == study


def test_the_fingerprint_is_of_what_people_are_shown(tmp_path):
    study = studies.make_study(tmp_path / "study")
    same = dataclasses.replace(study, title="another", completion_url="https://example.org")
    assert fingerprint(same) == fingerprint(study)
    for change in ({"seed": 4}, {"protocol": Protocol()}, {"examples": study.examples[:2]}):
        other = dataclasses.replace(study, **change)
        assert fingerprint(other) != fingerprint(study)
    assert fingerprint(load_study(tmp_path / "study")) == fingerprint(study)


@pytest.mark.parametrize("contents", ["", "[]", "{}", '{"protocol": 3, "examples": []}', "\x00"])
def test_damaged_studies_are_named(tmp_path, contents):
    (tmp_path / "study.json").write_text(contents)
    with pytest.raises(UserError, match="study.json"):
        load_study(tmp_path)
