"""Models, images and outputs in a store: translated, scored, and left out when they are done."""

import sys

import numpy as np
import pytest
from PIL import Image

from tests.helpers import runs, stores
from tests.helpers.http_servers import web_server
from tests.helpers.tiny_run import write_run
from tests.helpers.translating import translate
from tfpix2pix.config.config import make_config
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.places import name_urls
from tfpix2pix.pipelines.remote.store import Store

SIZES = {"image_size": 32, "depth": 3, "base_filters": 4}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return runs.write_dataset(tmp_path_factory.mktemp("data") / "tiny", train=2, val=2)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, data_dir):
    config = make_config(dataset="tiny", data_dir=str(data_dir), direction="AtoB", **SIZES)
    return write_run(tmp_path_factory.mktemp("runs") / "tiny", config)


@pytest.fixture
def photos(tmp_path):
    for number, name in enumerate(("1.png", "sub/ä b.jpg", "sub/2.png", "notes.txt")):
        file = tmp_path / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), np.uint8)
        file.write_text("") if file.suffix == ".txt" else Image.fromarray(pixels).save(file)
    return tmp_path / "photos"


@pytest.fixture
def bucket(s3, workdir, photos):
    url = s3.make_bucket()
    stores.send(workdir, f"{url}/run")
    stores.send(photos, f"{url}/photos")
    return url


def test_remote_images_become_remote_outputs_of_the_same_bytes(bucket, workdir, photos, tmp_path, capsys):
    translate(model=workdir, input=photos, output=tmp_path / "out")
    capsys.readouterr()
    translate(model=f"{bucket}/run", input=f"{bucket}/photos", output=f"{bucket}/out")
    local = {
        file.relative_to(tmp_path / "out").as_posix(): file.read_bytes()
        for file in (tmp_path / "out").rglob("*.*")
        if file.is_file()
    }
    remote = stores.read_all(f"{bucket}/out")
    assert set(remote) == set(local) and "sub/ä b.png" in remote
    for name in ("index.html", "index_files/made_by.json"):  # which name the model
        assert remote.pop(name) != local.pop(name)
    assert remote == local
    told = capsys.readouterr()
    assert told.out.strip().endswith(f": {bucket}/out/index.html")
    assert f"{bucket}/photos: left out files that are not" in told.err
    cache = tmp_path / "cache"
    assert [file for file in cache.rglob("*.*") if file.suffix in (".png", ".jpg")] == []
    assert not list(cache.rglob("step-00000001/state*")) and list(cache.rglob("step-00000002/state*"))


def test_what_is_done_is_left_out_and_a_pattern_is_taken(bucket, workdir, capsys):
    store = Store(f"{bucket}/out")
    translate(model=workdir, input=f"{bucket}/photos/**/*.png", output=store.url)
    assert "sub/2.png" in store.list_files() and "sub/ä b.png" not in store.list_files()
    before = store.list_files()
    translate(model=workdir, input=f"{bucket}/photos", output=store.url, resume="true")
    assert "3 images, noise seed 0, 2 of them done before" in capsys.readouterr().out
    after = store.list_files()
    assert after["1.png"] == before["1.png"] and "sub/ä b.png" in after
    translate(model=workdir, input=store.url, output=f"{bucket}/again")  # without the previews
    assert capsys.readouterr().out.splitlines()[-1].startswith("3 images, ")
    with pytest.raises(UserError, match="`noise_seed` was 0, and is 1 now"):
        translate(model=workdir, input=f"{bucket}/photos", output=store.url, resume="true", noise_seed=1)
    translate(model=workdir, input=f"{bucket}/photos/1.png", output=f"{bucket}/one")
    assert "1.png" in Store(f"{bucket}/one").list_files()


def refuse(**settings):
    """Returns the text with which the command fails, as a person reads it."""
    with pytest.raises(UserError) as refused:
        translate(**settings)
    return name_urls(str(refused.value))


def test_what_cannot_be_read_or_written_is_told(bucket, workdir, photos, tmp_path):
    there = {"model": workdir, "input": photos, "output": tmp_path / "out"}
    assert refuse(**{**there, "input": f"{bucket}/none"}).startswith(f"there is no {bucket}/none; ")
    told = refuse(**{**there, "output": "https://x.org/a"})
    assert "`output=https://x.org/a` cannot be written: https:// is only read" in told
    assert f"there is nothing at {bucket}/nobody" in refuse(**{**there, "model": f"{bucket}/nobody"})
    Store(f"{bucket}/photos").write("3.png", b"no image")
    told = refuse(model=workdir, input=f"{bucket}/photos", output=f"{bucket}/out")
    assert told == f"1 of 4 images could not be translated; the others are in {bucket}/out"


def test_images_of_a_web_server_are_translated(workdir, photos, tmp_path, s3):
    with web_server(photos) as url:
        translate(model=workdir, input=url, output=tmp_path / "out")
    assert (tmp_path / "out/sub/ä b.png").is_file() and (tmp_path / "out/1.png").is_file()


def test_a_remote_run_is_scored_on_remote_data(bucket, data_dir, s3):
    stores.send(data_dir, f"{bucket}/data/tiny")

    def call(command, *arguments):
        done = runs.call([sys.executable, "-m", f"tfpix2pix.{command}", *arguments])
        assert done.returncode == 0, done.stderr
        return done.stdout

    told = call("evaluate", f"--model={bucket}/run", f"--data_dir={bucket}/data", "--metrics=l1")
    assert told.endswith(f"report: {bucket}/run/eval/index.html\n")
    call("evaluate", f"--model={bucket}/run", f"--data_dir={bucket}/data", "--metrics=psnr")
    assert {"l1.json", "psnr.json", "index.html"} <= set(Store(f"{bucket}/run/eval").list_files())
