"""Many files in one job: several at a time, resumed, shared among machines, and with files that fail."""

import dataclasses
import json
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.tiny_run import CONFIG, write_run
from tests.helpers.translating import translate
from tfpix2pix.pictures.page import Row
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.translate import made_by
from tfpix2pix.translate.image_inputs import find_beside, find_files, list_outputs
from tfpix2pix.translate.job import translate_files
from tfpix2pix.translate.made_by import MadeBy
from tfpix2pix.translate.options import Options
from tfpix2pix.translate.translator import Translator

SIZES = ((20, 24), (20, 24), (33, 17), (20, 24), (64, 32), (33, 17))


@pytest.fixture(scope="module")
def workdir(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, size in enumerate(SIZES):
        pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def read_files(folder: Path) -> dict[str, bytes]:
    """Returns the contents of all files but pages, which name the folder's run."""
    return {file.name: file.read_bytes() for file in folder.glob("*.png")}


def test_outputs_have_the_same_bits_whatever_else_is_translated(workdir, photos, tmp_path):
    for batch_size in (1, 3, 8):
        output = tmp_path / f"out{batch_size}"
        translate(model=workdir, input=photos, output=output, batch_size=batch_size, samples_per_image=2)
    alone = read_files(tmp_path / "out1")
    assert len(alone) == 2 * len(SIZES)
    assert alone == read_files(tmp_path / "out3") == read_files(tmp_path / "out8")
    translator = Translator(workdir)
    for number in range(len(SIZES)):
        with (
            Image.open(photos / f"{number}.png") as image,
            Image.open(tmp_path / f"out8/{number}_2.png") as it,
        ):
            np.testing.assert_array_equal(np.asarray(it), translator(np.asarray(image), sample=1))


class CountingTranslator(Translator):
    """Counts the pixels that are translated at the same time."""

    lock, now, most = threading.Lock(), 0, 0

    def __call__(self, images, *args, **kwargs):
        pixels = images.shape[0] * images.shape[1]
        with self.lock:
            self.now += pixels
            self.most = max(self.most, self.now)
        time.sleep(0.05)
        result = super().__call__(images, *args, **kwargs)
        with self.lock:
            self.now -= pixels
        return result


@pytest.mark.parametrize("budget, most", [(100, 64 * 32), (2600, 2600)])
def test_large_images_wait_for_room(workdir, photos, tmp_path, monkeypatch, budget, most):
    monkeypatch.setattr("tfpix2pix.translate.files.MOST_PIXELS", budget)
    files = find_files(str(photos), tmp_path / "out", lambda file: list_outputs(file.name))
    translator = CountingTranslator(workdir)
    translate_files(translator, files, tmp_path / "out", Options())
    assert len(read_files(tmp_path / "out")) == len(SIZES)
    assert translator.most <= most


def test_a_page_shows_a_large_input_smaller(workdir, tmp_path):
    photo = tmp_path / "wide.png"
    Image.new("RGB", (70_000, 32)).save(photo)  # wider than a JPEG file can be
    for format, shown in (("png", "wide.jpg"), ("npy", "wide.npy.png")):
        translate(model=workdir, input=photo, output=tmp_path / "out", format=format)
        with Image.open(tmp_path / "out/index_files" / shown) as preview:
            assert preview.size == (2000, 1)
    with Image.open(tmp_path / "out/wide.png") as output:
        assert output.size == (70_000, 32)


def test_a_resumed_job_makes_what_is_missing_and_shows_everything(workdir, photos, tmp_path, capsys):
    output = tmp_path / "out"
    translate(model=workdir, input=photos, output=output)
    whole, page = read_files(output), (output / "index.html").read_text()
    (output / "1.png").unlink()
    (output / "index_files/2.jpg").unlink()
    (output / "3.png").write_bytes(b"kept")
    (output / "index.html").unlink()
    translate(model=workdir, input=photos, output=output, resume=True)
    assert "6 images, noise seed 0, 4 of them done before, " in capsys.readouterr().out
    assert read_files(output) == {**whole, "3.png": b"kept"}
    assert (output / "index.html").read_text() == page
    translate(model=workdir, input=photos, output=output)
    assert read_files(output) == whole


def test_a_job_goes_on_only_with_what_its_outputs_were_made_by(workdir, photos, tmp_path, capsys):
    output = tmp_path / "out"
    translate(model=workdir, input=photos, output=output, shard="1/2")
    page = (output / "index_1_of_2.html").read_text()
    again = {"input": photos, "output": output, "resume": True, "batch_size": 2, "samples_per_image": 2}
    translate(model=workdir, shard="2/2", **again)
    for settings, told in (
        ({"noise_seed": 9}, "`noise_seed` was 0, and is 9 now. Give the same options, choose another `out"),
        ({"image_size": 48}, r"`image_size` was \[32, 32\], and is \[48, 48\] now"),
        ({"checkpoint": "best"}, f"the model was {workdir}, step 2, and now it is {workdir}, step 1"),
    ):
        with pytest.raises(UsageError, match=f"^{output} holds outputs that were made otherwise: {told}"):
            translate(model=workdir, shard="1/2", **again, **settings)
    assert (output / "index_1_of_2.html").read_text() == page
    copy = write_run(tmp_path / "copy", dataclasses.replace(CONFIG, seed=6)).rename(tmp_path / "other")
    with pytest.raises(
        UsageError, match=f"the model was {workdir}, step 2, and now it is {copy}, step 2. Give"
    ):
        translate(model=copy, **again)
    moved = shutil.copytree(workdir, tmp_path / "moved")
    translate(model=moved, **again)


def test_jobs_that_begin_together_share_the_record_of_their_outputs(workdir, tmp_path):
    translator = Translator(workdir)

    def begin(number: int) -> None:
        for seed in range(5):
            MadeBy(translator, tmp_path / "out", Options(noise_seed=10 * number + seed))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(begin, range(8)))
    told = json.loads((tmp_path / "out/index_files/made_by.json").read_text())["made_by"]
    assert {each["noise_seed"] for each in told} == {10 * n + seed for n in range(8) for seed in range(5)}


def test_a_job_that_ends_keeps_the_record_of_one_that_has_begun_meanwhile(workdir, tmp_path):
    translator, out = Translator(workdir), tmp_path / "out"
    MadeBy(translator, out, Options(noise_seed=1))  # whose outputs are written over
    job = MadeBy(translator, out, Options(noise_seed=2))
    row = Row("x", (1, 1), "index_files/x.jpg", ["x.png"])
    (out / row.input_file).write_bytes(b"")
    MadeBy(translator, out, Options(noise_seed=3, format="webp"))
    MadeBy(translator, out, Options(noise_seed=4))
    job.finish([row])
    told = json.loads((out / "index_files/made_by.json").read_text())["made_by"]
    assert {each["noise_seed"] for each in told} == {2, 3, 4}


def test_outputs_of_another_format_do_not_keep_a_job_from_going_on(workdir, photos, tmp_path):
    translate(model=workdir, input=photos, output=tmp_path / "out", format="png")
    for resume in (False, True):
        translate(
            model=workdir, input=photos, output=tmp_path / "out", format="webp", noise_seed=1, resume=resume
        )


def test_a_style_is_known_by_its_contents_and_not_by_its_path(tmp_path):
    for name, contents in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(contents)
    one, same, other = (made_by._tell(str(tmp_path / name)) for name in "abc")
    assert one == same != other
    assert made_by._tell("7") == "7" and made_by._tell(tmp_path) == "a folder"


def test_outputs_are_made_by_what_has_made_all_of_them_anew(workdir, photos, tmp_path):
    output = tmp_path / "out"
    files = find_files(str(photos), output, lambda file: list_outputs(file.name))
    translate(model=workdir, input=photos, output=output)
    with pytest.raises(KeyboardInterrupt):
        translate_files(StoppedTranslator(workdir), files, output, Options(noise_seed=9))
    for seed, before in ((9, 0), (0, 9)):
        with pytest.raises(UsageError, match=f"`noise_seed` was {before}, and is {seed} now"):
            translate(model=workdir, input=photos, output=output, resume=True, noise_seed=seed)
    translate(model=workdir, input=photos, output=output, noise_seed=9)
    translate(model=workdir, input=photos, output=output, noise_seed=9, resume=True)
    (output / "index_files/made_by.json").unlink()  # as earlier versions have left it
    translate(model=workdir, input=photos, output=output, resume=True)


@pytest.mark.parametrize("lost", ["made_by.json", "../index_1_of_2.html"])
def test_pictures_of_the_page_of_an_earlier_job_are_no_inputs(workdir, photos, tmp_path, capsys, lost):
    translate(model=workdir, input=photos, output=tmp_path / "photos/out", shard="1/2")
    (photos / "out/index_files" / lost).unlink()  # by an earlier version, or by a job that was killed
    translate(model=workdir, input=photos / "out", output=tmp_path / "second", format="jpeg")
    assert capsys.readouterr().out.splitlines()[-1].startswith("3 images, ")
    names = ["0.jpg", "2.jpg", "4.jpg"]
    assert sorted(file.name for file in (tmp_path / "second").glob("*.jpg")) == names
    previews = photos / "out/index_files"
    before = {file.name: file.read_bytes() for file in previews.iterdir()}
    with pytest.raises(UsageError, match=r"index_files/0\.jpg is an input; choose another"):
        translate(model=workdir, input=previews, output=photos / "out")
    assert {file.name: file.read_bytes() for file in previews.iterdir()} == before


def test_a_folder_of_inputs_that_is_called_as_that_of_the_page_is_no_page(workdir, photos, tmp_path):
    (photos / "index_files").mkdir()
    (photos / "index.html").write_text("<title>A page that a browser has saved</title>")
    (photos / "0.png").rename(photos / "index_files/a.png")
    translate(model=workdir, input=photos, output=tmp_path / "out", format="jpeg")
    assert (tmp_path / "out/index_files/a.jpg").is_file()
    (photos / "1.png").rename(photos / "a.png")
    with pytest.raises(
        UsageError, match=r"index_files/a\.jpg would be both .*photos/index_files another name"
    ):
        translate(model=workdir, input=photos, output=tmp_path / "out", format="jpeg")


def test_a_new_format_is_no_finished_output(workdir, photos, tmp_path, capsys):
    for format in ("png", "webp", "webp"):
        translate(model=workdir, input=photos, output=tmp_path / "out", resume=True, format=format)
    told = [line.split(", ")[2] for line in capsys.readouterr().out.splitlines() if "done" in line]
    assert told == ["0 of them done before", "0 of them done before", "6 of them done before"]


def test_shards_have_every_file_once_and_pages_of_their_own(workdir, photos, tmp_path):
    translate(model=workdir, input=photos, output=tmp_path / "whole")
    for number in range(1, 5):
        translate(model=workdir, input=photos, output=tmp_path / "out", shard=f"{number}/4")
    assert read_files(tmp_path / "out") == read_files(tmp_path / "whole")
    pages = sorted(file.name for file in (tmp_path / "out").glob("*.html"))
    assert pages == [f"index_{number}_of_4.html" for number in range(1, 5)]
    counts = [(tmp_path / "out" / page).read_text().count("<h2>") for page in pages]
    assert counts == [2, 2, 1, 1]


@pytest.mark.parametrize("shard", ["0/4", "5/4", "1/0", "1", "a/b", "1/2/3", "-1/2"])
def test_a_shard_that_is_none_is_refused(shard):
    with pytest.raises(UsageError, match=r"`shard` is i/n with i from 1 to n"):
        Options(shard=shard)


def test_an_output_that_cannot_be_written_fails_alone(workdir, photos, tmp_path, capsys):
    output = tmp_path / "out"
    (output / "1.png").mkdir(parents=True)
    with pytest.raises(
        UserError, match=f"^1 of 6 images could not be translated; the others are in {output}$"
    ):
        translate(model=workdir, input=photos, output=output)
    assert f"error: {output}/1.png cannot be written: Is a directory" in capsys.readouterr().err
    written = sorted(file.name for file in output.glob("*.png") if file.is_file())
    assert written == ["0.png", "2.png", "3.png", "4.png", "5.png"]
    assert (output / "index.html").read_text().count("<h2>") == 5


def test_where_all_fail_no_others_are_spoken_of(workdir, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.png").write_text("this is no picture")
    with pytest.raises(UserError, match="^1 of 1 image could not be translated$"):
        translate(model=workdir, input=tmp_path / "photos", output=tmp_path / "out")


def test_a_page_that_cannot_be_written_is_told_at_the_end(workdir, photos, tmp_path):
    (tmp_path / "out/index.html").mkdir(parents=True)
    with pytest.raises(UserError, match=r"index.html cannot be written: Is a directory$"):
        translate(model=workdir, input=photos, output=tmp_path / "out")
    assert len(read_files(tmp_path / "out")) == 6


class StoppedTranslator(Translator):
    """Is stopped, as by Ctrl-C, when it comes to the first picture of 64 rows."""

    def __call__(self, images, *args, **kwargs):
        if len(images) == 64:
            raise KeyboardInterrupt
        return super().__call__(images, *args, **kwargs)


def test_a_stopped_job_leaves_a_page_of_what_is_done(workdir, photos, tmp_path):
    output = tmp_path / "out"
    files = find_files(str(photos), output, lambda file: list_outputs(file.name))
    with pytest.raises(KeyboardInterrupt):
        translate_files(StoppedTranslator(workdir), files, output, Options())
    page = (output / "index.html").read_text()
    assert page.count("<h2>") == 4 and all(f'"{number}.png"' in page for number in range(4))
    assert {f"{number}.png" for number in range(4)} <= set(read_files(output))
    translate_files(Translator(workdir), files, output, Options(resume=True))
    assert (output / "index.html").read_text().count("<h2>") == 6


@pytest.mark.parametrize("name", ["IMG_1.PNG", "im\u0308g.jpg", "\u00efmg.png", "img.tif"])
def test_an_image_in_another_folder_is_found_as_systems_write_its_name(tmp_path, name):
    for folder in ("in", "maps"):
        (tmp_path / folder).mkdir()
    (tmp_path / "in" / f"{Path(name).stem}.jpg").touch()
    (tmp_path / "maps" / name).touch()
    (file,) = find_files(str(tmp_path / "in"), tmp_path / "out", lambda file: [])
    assert find_beside(file, tmp_path / "maps") == tmp_path / "maps" / name
    assert find_beside(file, tmp_path / "out") is None
