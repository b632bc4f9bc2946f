import dataclasses
import html.parser
import os
import subprocess
import sys
import urllib.parse
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.helpers import runs
from tests.helpers.tiny_run import CONFIG, write_run
from tests.helpers.translating import translate
from tfpix2pix.export.model_card import describe_run
from tfpix2pix.export.saved_model import export_saved_model
from tfpix2pix.networks import tiles
from tfpix2pix.pictures.page import Row, render_gallery
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.run.generator import load_generator
from tfpix2pix.translate import notices
from tfpix2pix.translate.image_inputs import find_inputs, name_outputs
from tfpix2pix.translate.translator import Translator

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "tiny")


def run_command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    return runs.call([sys.executable, "-m", "tfpix2pix.translate", *arguments], cwd)


def save_picture(file: Path, height: int = 20, width: int = 24, mode: str = "RGB") -> np.ndarray:
    """Saves noise; returns it as uint8 [H, W, 3]."""
    file.parent.mkdir(parents=True, exist_ok=True)
    channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, *channels), np.uint8)
    Image.fromarray(pixels).save(file)
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def read_picture(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image)


def list_files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


class PageReader(html.parser.HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.files: list[str] = []
        self.titles: list[str] = []
        self.tag = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            assert dict(attributes)["loading"] == "lazy"
            self.files.append(os.fsdecode(urllib.parse.unquote_to_bytes(dict(attributes)["src"])))
        assert tag not in ("link", "script")
        self.tag = tag

    def handle_data(self, data):
        if self.tag == "h2":
            self.titles.append(data)

    def handle_endtag(self, tag):
        self.tag = ""


def test_bad_images_are_named_and_the_others_translated(workdir, tmp_path):
    photos = tmp_path / "photos"
    pixels = save_picture(photos / "good.png", 33, 47)
    save_picture(photos / "sub" / "photo.jpg")
    save_picture(photos / "cut.jpg", 100, 100)
    contents = (photos / "cut.jpg").read_bytes()
    (photos / "cut.jpg").write_bytes(contents[: len(contents) // 2])
    (photos / "text.png").write_text("this is no picture")
    (photos / "empty.bmp").touch()
    (photos / "notes.txt").write_text("not an image, and not called one")
    process = run_command(f"--model={workdir}", "--input=photos", "--output=photos/out", cwd=tmp_path)
    assert process.returncode == 1
    errors = process.stderr.splitlines()
    assert errors[-1] == "error: 3 of 5 images could not be translated; the others are in photos/out"
    for name, reason in (("cut.jpg", "damaged or cut short"), ("text.png", "not a"), ("empty.bmp", "empty")):
        assert [line for line in errors if f"photos/{name}" in line and reason in line], process.stderr
    assert "notes.txt" not in process.stderr
    outputs = ["good.png", "index.html", "index_files/good.jpg", "index_files/sub/photo.jpg", "sub/photo.png"]
    assert list_files(photos / "out") == sorted([*outputs, "index_files/made_by.json"])
    np.testing.assert_array_equal(read_picture(photos / "out" / "good.png"), Translator(workdir)(pixels))


def test_files_of_any_name_are_translated_and_the_one_that_cannot_be_written_is_named(workdir, tmp_path):
    names = [os.fsdecode(b"caf\xe9"), "e\u0301", "\u00e9", "[x]*?\\\n", "x" * 251, "y" * 246]
    pixels = [save_picture(tmp_path / f"in [1]/{name}.png", 20 + place) for place, name in enumerate(names)]
    (tmp_path / "in [1]/lost.png").symlink_to("nothing.png")
    (tmp_path / "in [1]/round.png").symlink_to("round.png")
    process = run_command(
        f"--model={workdir}", "--input=in [1]", "--output=out [1]", "--samples_per_image=2", cwd=tmp_path
    )
    errors = process.stderr.splitlines()
    assert process.returncode == 1 and "Traceback" not in process.stderr
    assert errors[-1] == "error: 3 of 8 images could not be translated; the others are in out [1]"
    for name in (
        f"{'x' * 251}_1.png cannot be written: the name is",
        "lost.png cannot be",
        "round.png cannot be",
    ):
        assert [line for line in errors if line.startswith("error: ") and name in line], process.stderr
    outputs = [name for name in list_files(tmp_path / "out [1]") if "/" not in name and name != "index.html"]
    written = {"e\u0301": "e\u0301.png", "\u00e9": "\u00e9.png"}
    stems = [written.get(name, name) for name in names if name[0] != "x"]
    assert outputs == sorted(f"{stem}_{number}.png" for stem in stems for number in (1, 2))
    output = read_picture(tmp_path / f"out [1]/{names[0]}_1.png")
    np.testing.assert_array_equal(output, Translator(workdir)(pixels[0]))


def test_photos_are_turned_as_their_exif_orientation_says(workdir, tmp_path, capsys):
    photos, exif = tmp_path / "photos", Image.Exif()
    photos.mkdir()
    for orientation in (1, 6, 8):
        exif[0x0112] = orientation
        Image.new("RGB", (48, 32)).save(photos / f"{orientation}.jpg", exif=exif)
    translate(model=workdir, input=photos, output=tmp_path / "out")
    assert "EXIF" not in capsys.readouterr().err
    for orientation, size in ((1, (48, 32)), (6, (32, 48)), (8, (32, 48))):
        with Image.open(tmp_path / f"out/{orientation}.png") as output:
            assert output.size == size


def test_a_tiff_of_floats_becomes_an_array(workdir, tmp_path):
    pixels = np.random.default_rng(0).uniform(-1, 1, (32, 32, 3)).astype(np.float32)
    (tmp_path / "photos").mkdir()
    tifffile.imwrite(tmp_path / "photos/a.tif", pixels)
    translate(model=workdir, input=tmp_path / "photos", output=tmp_path / "out")
    generated = np.load(tmp_path / "out/a.npy")
    np.testing.assert_array_equal(generated, Translator(workdir)(pixels))
    assert generated.dtype == np.float32


def test_a_usage_error_is_quick_and_has_status_2(tmp_path):
    process = run_command("--model=runs/x", "--input=photos/*.jpg", "--output=out", cwd=tmp_path)
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1] == (
        "error: no JPEG, PNG, BMP, TIFF, WebP or GIF image or .npy array matches photos/*.jpg"
    )
    program = (
        "import sys, runpy; runpy.run_module('tfpix2pix.translate'); sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def test_every_format_and_size_keeps_its_name_and_place(workdir, tmp_path):
    photos = tmp_path / "photos"
    pictures = {
        "a.png": save_picture(photos / "a.png", 31, 40),
        "a.jpg.png": save_picture(photos / "sub/a & <b>.jpg", 64, 32),
        "gray.bmp": save_picture(photos / "gray.bmp", 9, 200, "L"),
        "alpha.PNG": save_picture(photos / "alpha.PNG", 50, 50, "RGBA"),
        "dot.dot.jpeg": save_picture(photos / "dot.dot.jpeg", 1, 1),
    }
    output = tmp_path / "deep" / "out"
    translate(model=workdir, input=photos, output=output, noise_seed=4)
    expected = {
        "a.png": pictures["a.png"],
        "sub/a & <b>.png": pictures["a.jpg.png"],
        "gray.png": pictures["gray.bmp"],
        "alpha.png": pictures["alpha.PNG"],
        "dot.dot.png": pictures["dot.dot.jpeg"],
    }
    assert {name for name in list_files(output) if name.endswith(".png")} == set(expected)
    translator = Translator(workdir)
    for name, pixels in expected.items():
        np.testing.assert_array_equal(read_picture(output / name), translator(pixels, noise_seed=4), name)

    moved = output.rename(tmp_path / "moved")
    page = PageReader((moved / "index.html").read_text())
    assert page.titles == ["a.png", "alpha.PNG", "dot.dot.jpeg", "gray.bmp", "sub/a & <b>.jpg"]
    assert len(page.files) == 10 and set(list_files(moved)) == {
        *page.files,
        "index.html",
        "index_files/made_by.json",
    }
    shown = read_picture(moved / "index_files" / "sub" / "a & <b>.jpg")
    assert shown.shape == (64, 32, 3)


def test_samples_differ_and_come_back(workdir, tmp_path):
    pixels = save_picture(tmp_path / "photos" / "x.png", 32, 32)
    for output in ("one", "two"):
        translate(
            model=workdir, input=tmp_path / "photos/x.png", output=tmp_path / output,
            noise_seed=9, samples_per_image=3,
        )  # fmt: skip
    outputs = ["x_1.png", "x_2.png", "x_3.png"]
    assert list_files(tmp_path / "one") == [
        "index.html",
        "index_files/made_by.json",
        "index_files/x.jpg",
        *outputs,
    ]
    samples = [read_picture(tmp_path / "one" / name) for name in outputs]
    assert np.any(samples[0] != samples[1]) and np.any(samples[1] != samples[2])
    for sample, name in enumerate(outputs):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        np.testing.assert_array_equal(samples[sample], Translator(workdir)(pixels, 9, sample))


def test_a_model_without_noise_is_told_where_noise_is_asked_for(workdir, tmp_path, capsys):
    photo = tmp_path / "x.png"
    save_picture(photo)
    silent = write_run(tmp_path / "silent", dataclasses.replace(CONFIG, dropout="none"))
    saved = [
        export_saved_model(load_generator(run)[0], tmp_path / f"saved_{run.name}", verify=False)
        for run in (workdir, silent)
    ]
    told = {}
    for model in (workdir, silent, *saved):
        for samples in (1, 2):
            translate(model=model, input=photo, output=tmp_path / "out", samples_per_image=samples)
            told[model, samples] = "draws no noise: the noise seed" in capsys.readouterr().err
    assert [case for case, is_told in told.items() if is_told] == [(silent, 2), (saved[1], 2)]
    translate(model=silent, input=photo, output=tmp_path / "out", noise_seed=5)
    assert f"note: {silent}, step 2 draws no noise" in capsys.readouterr().err


def test_a_saved_model_gives_the_same_pictures_and_samples(workdir, tmp_path):
    save_picture(tmp_path / "photos" / "x.png", 40, 30)
    generator = load_generator(workdir)[0]
    saved = export_saved_model(generator, tmp_path / "saved", verify=False, image_size=(32, 32)).parent
    for model, output in ((workdir, "run"), (saved, "servable")):
        translate(
            model=model,
            input=tmp_path / "photos",
            output=tmp_path / output,
            noise_seed=3,
            samples_per_image=2,
        )
    for name in ("x_1.png", "x_2.png"):
        run, servable = (read_picture(tmp_path / output / name) for output in ("run", "servable"))
        assert np.abs(run.astype(int) - servable).max() <= 1
    with pytest.raises(UsageError, match="`checkpoint` is for a run"):
        translate(model=saved, input=tmp_path / "photos", output=tmp_path / "no", checkpoint="best")
    assert not (tmp_path / "no").exists()


@pytest.mark.slow
def test_the_command_says_at_which_size_pictures_are_translated(workdir, tmp_path, capsys):
    pixels = save_picture(tmp_path / "photos" / "x.png", 70, 90)
    sentences = {}
    for name, settings in (
        ("default", {}),
        ("trained", {"output_size": "trained"}),
        ("native", {"image_size": "native"}),
        ("large", {"image_size": "40x48"}),
    ):
        translate(model=workdir, input=tmp_path / "photos", output=tmp_path / name, **settings)
        sentences[name] = capsys.readouterr().out.splitlines()[0]
        expected = Translator(workdir, **settings)(pixels)
        np.testing.assert_array_equal(read_picture(tmp_path / name / "x.png"), expected)
    each = "size: each picture is resized to"
    assert sentences == {
        "default": f"{each} 32x32 px, and its output has its input's size",
        "trained": f"{each} 32x32 px, and its output has that size",
        "native": "size: each picture keeps its size; more than 4194304 px are translated in overlapping "
        "windows of 2048x2048 px",
        "large": f"{each} 40x48 px, and its output has its input's size",
    }
    assert read_picture(tmp_path / "trained" / "x.png").shape == (32, 32, 3)
    with pytest.raises(UsageError, match="these keep their size"):
        translate(
            model=workdir, input=tmp_path / "photos", output=tmp_path / "no",
            image_size="native", output_size="trained",
        )  # fmt: skip


@pytest.mark.slow
def test_a_picture_too_large_for_one_piece_is_named(workdir, tmp_path, capsys, monkeypatch):
    for module in (notices, tiles):
        monkeypatch.setattr(module, "MAX_WHOLE_PIXELS", 2000)
    save_picture(tmp_path / "photos" / "large.png", 50, 48, "L")
    save_picture(tmp_path / "photos" / "larger.png", 50, 49, "L")
    translate(model=workdir, input=tmp_path / "photos", output=tmp_path / "out", image_size="native")
    error = capsys.readouterr().err
    assert "large.png has 48 x 50 px, more than the 2000 that" in error and "larger.png" not in error
    assert read_picture(tmp_path / "out" / "large.png").shape == (50, 48, 3)
    translate(model=workdir, input=tmp_path / "photos", output=tmp_path / "resized")
    assert "large.png" not in capsys.readouterr().err


def test_half_of_a_pair_is_taken_on_request_and_a_hint_given_else(workdir, tmp_path, capsys):
    pixels = save_picture(tmp_path / "photos" / "pair.png", 32, 64)
    translate(model=workdir, input=tmp_path / "photos", output=tmp_path / "whole")
    # The run's direction is BtoA: its input is the right half.
    assert "pair.png is twice as wide as high" in (hint := capsys.readouterr().err)
    assert "training, `crop=right` takes its input half" in hint
    for side, half in (("left", pixels[:, :32]), ("right", pixels[:, 32:])):
        translate(model=workdir, input=tmp_path / "photos", output=tmp_path / side, crop=side)
        np.testing.assert_array_equal(read_picture(tmp_path / side / "pair.png"), Translator(workdir)(half))
    assert "twice as wide" not in capsys.readouterr().err
    save_picture(tmp_path / "photos" / "pair.png", 32, 63)
    with pytest.raises(UserError, match="1 of 1 image could not"):
        translate(model=workdir, input=tmp_path / "photos", output=tmp_path / "odd", crop="left")
    assert "63 px wide" in capsys.readouterr().err


@pytest.mark.slow
def test_the_card_of_a_saved_model_tells_which_half_is_the_input(workdir, tmp_path, capsys):
    save_picture(tmp_path / "photos" / "pair.png", 32, 64)
    generator, config, step = load_generator(workdir)
    about = describe_run(workdir, config, step)
    version = export_saved_model(generator, tmp_path / "saved", verify=False, about=about)
    hints = []
    for text in ((version / "model_card.json").read_text(), "{"):
        (version / "model_card.json").write_text(text)
        translate(model=version, input=tmp_path / "photos", output=tmp_path / "out")
        hints.append(capsys.readouterr().err)
    assert "`crop=right` takes" in hints[0] and "`crop` takes" in hints[1]


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({}, "--model is missing"),
        ({"model": "m", "output": "out"}, "--input is missing"),
        ({"model": "m", "input": "photos"}, "--output is missing"),
        ({"model": "m", "input": "photos", "output": "photos"}, "is the folder of the inputs"),
        ({"model": "m", "input": "photos/a.png", "output": "photos"}, "is the folder of the inputs"),
        (
            {"model": "m", "input": "photos", "output": "photos/a.png"},
            "`output=photos/a.png` takes a folder, and photos/a",
        ),
        ({"model": "m", "input": "nested/x", "output": "nested"}, "nested/x/a.png is an input"),
        ({"model": "m", "input": "empty", "output": "out"}, "there is no JPEG, .* array in empty"),
        (
            {"model": "m", "input": "gone", "output": "out"},
            "there is no gone; `input` takes an image, a folder",
        ),
        ({"model": "m", "input": "*.gif", "output": "out"}, "no JPEG, PNG, BMP, TIFF, WebP or GIF image"),
        ({"model": "m", "input": "photos", "output": "out"}, "there is no m"),
        ({"model": "photos", "input": "photos", "output": "out"}, "photos is neither"),
        ({"model": "m", "input": "photos", "output": "out", "samples_per_image": 0}, "samples_per_image"),
        ({"model": "m", "input": "photos", "output": "out", "crop": "top"}, "crop"),
    ],
)
def test_a_wrong_call_names_what_is_wrong_and_writes_nothing(tmp_path, monkeypatch, settings, reason):
    monkeypatch.chdir(tmp_path)
    save_picture(Path("photos/a.png"))
    save_picture(Path("nested/x/a.png"))
    save_picture(Path("nested/x/x/a.png"))
    Path("empty").mkdir()
    before = list_files(tmp_path)
    with pytest.raises(UsageError, match=reason):
        translate(**settings)
    assert list_files(tmp_path) == before


def test_find_inputs_takes_a_file_a_folder_or_a_pattern(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = (
        "in/b.jpg",
        "in/a.PNG",
        "in/sub/c.bmp",
        "in/out/old.png",
        "in/.hidden/d.png",
        "in/.e.png",
        "in/n.txt",
    )
    for file in files:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch()

    def find(pattern: str, output: str = "in/out") -> tuple[str, list[str]]:
        root, found = find_inputs(pattern, Path(output))
        return str(root), [str(file.relative_to(root)) for file in found]

    assert find("in") == ("in", ["a.PNG", "b.jpg", "sub/c.bmp"])
    assert find("./in/", "elsewhere") == ("in", ["a.PNG", "b.jpg", "out/old.png", "sub/c.bmp"])
    assert find("in/n.txt") == ("in", ["n.txt"])
    assert find("in/*") == ("in", ["a.PNG", "b.jpg"])
    assert find("in/**/*.*") == ("in", ["a.PNG", "b.jpg", "sub/c.bmp"])
    assert find("**/c.*") == (".", ["in/sub/c.bmp"])
    assert find(f"../{tmp_path.name[:-1]}[0-9]/in/sub/?.bmp") == ("..", [f"{tmp_path.name}/in/sub/c.bmp"])
    assert find(f"{tmp_path}/in/[ab].*") == (f"{tmp_path}/in", ["a.PNG", "b.jpg"])


def test_links_are_followed_once_and_names_may_look_like_patterns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in ("in/a.png", "out side/b.png", "in [1]/c.png", "in [1]/d*.png"):
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).touch()
    Path("in/linked").symlink_to("../out side")
    Path("in/circle").symlink_to(".")
    Path("in/lost.png").symlink_to("nothing.png")

    def find(pattern: str) -> list[str]:
        return list(map(str, find_inputs(pattern, Path("new"))[1]))

    everything = ["in/a.png", "in/linked/b.png", "in/lost.png"]
    assert find("in") == find("in/**") == find("in/**/*.png") == find("in/**/**/*") == everything
    assert find("in/*/*.png") == ["in/circle/a.png", "in/circle/lost.png", "in/linked/b.png"]
    assert find("in [1]") == find("in [1]/*") == ["in [1]/c.png", "in [1]/d*.png"]
    assert find("in [1]/d*") == find("in [1]/d*.png") == find("*/d[*].png") == ["in [1]/d*.png"]


def test_files_of_other_kinds_are_counted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("in/out").mkdir(parents=True)
    for name in ("a.png", "b.heic", "c.HEIC", "d.svg", "README", ".e.gif", "out/index.html"):
        Path("in", name).touch()
    assert find_inputs("in", Path("in/out")) == (Path("in"), [Path("in/a.png")])
    kinds = "JPEG, PNG, BMP, TIFF, WebP or GIF"
    told = capsys.readouterr().err
    assert told.startswith(f"warning: in: left out files that are not {kinds} (2 .heic, 1 ")
    assert sorted(told.rpartition("(")[2].strip(")\n").split(", ")) == ["1 .svg", "1 README", "2 .heic"]
    with pytest.raises(
        UsageError, match=r"\[bc\]\.\*: no file is JPEG, .* or GIF \(2 \.heic\); convert them to PNG"
    ):
        find_inputs("in/[bc].*", Path("out"))
    assert find_inputs("in/.e.gif", Path("out"))[1] == [Path("in/.e.gif")]  # what is named is tried


@pytest.mark.parametrize(
    "files, names",
    [
        (["a.jpg", "b.png", "s/a.jpg"], ["a", "b", "s/a"]),
        (["a.jpg", "a.png"], ["a.jpg", "a.png"]),
        (["A.jpg", "a.png"], ["A.jpg", "a.png"]),
        (["a.jpg", "a.jpg.png", "a.png"], ["a.jpg", "a.jpg.png", "a.png"]),
        (["a.1.jpg", "a.2.jpg"], ["a.1", "a.2"]),
        (["\u00e9.jpg", "e\u0301.png"], ["\u00e9.jpg", "e\u0301.png"]),
    ],
)
def test_no_two_inputs_share_an_output(files, names):
    assert name_outputs([Path(file) for file in files]) == names


def test_any_file_name_can_stand_on_the_page():
    name = os.fsdecode(b'50% "\xff" <i>?#.png')
    reader = PageReader(render_gallery("t", "s", [Row(name, (2, 3), f"index_files/{name}.jpg", [name])]))
    assert reader.files == [f"index_files/{name}.jpg", name]
