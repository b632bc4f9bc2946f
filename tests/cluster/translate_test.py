"""`cluster.translate`: the outputs of `translate`, made in parts by actors that may be killed."""

import json
import shutil
import sys
import threading
import time

import numpy as np
import pytest

from tests.helpers import runs, stores
from tests.helpers.tiny_run import write_run
from tfpix2pix.config.config import make_config
from tfpix2pix.pipelines.placing.pack import pack_shards

BROKEN = "photos/broken.png"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run, seven photos in two folders, and what `translate` makes of them."""
    folder = tmp_path_factory.mktemp("cluster")
    write_run(folder / "run")
    for number in range(7):
        size = (20 + 4 * (number % 3), 24, 3)
        pixels = np.random.default_rng(number).integers(0, 256, size, np.uint8)
        runs.write_image(folder / "photos" / ("more" if number > 4 else ".") / f"{number}.png", pixels)
    done = runs.call([sys.executable, "-m", "tfpix2pix.translate", *_flags(folder, "expected")])
    assert done.returncode == 0, done.stderr
    return folder


def _flags(folder, output):
    return [f"--model={folder / 'run'}", f"--input={folder / 'photos'}", f"--output={folder / output}"]


def _translate(folder, output, *flags):
    own = ["--files_per_part=3", *_flags(folder, output), *flags]
    return runs.call([sys.executable, "-m", "tfpix2pix.cluster.translate", *own])


def _read_outputs(folder):
    files = [file for file in folder.rglob("*") if file.suffix in (".png", ".jpg")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def _read_manifest(output):
    manifest = json.loads((output / "manifest.json").read_text())
    return manifest, [json.loads((output / part["record"]).read_text()) for part in manifest["parts"]]


def test_outputs_are_those_of_one_process_though_a_worker_is_killed(folder, kill_process):
    killed = []

    def kill():  # while the worker imports TensorFlow, with its first part
        deadline = time.monotonic() + runs.TIMEOUT_SEC
        while not killed and time.monotonic() < deadline:
            if number := kill_process("PartTranslator"):
                killed.append(number)
            time.sleep(0.2)

    thread = threading.Thread(target=kill)
    thread.start()
    done = _translate(folder, "out")
    thread.join()
    assert done.returncode == 0 and killed, done.stderr
    assert done.stdout.endswith(f"7 images in 3 parts: {folder / 'out' / 'manifest.json'}\n")
    expected = _read_outputs(folder / "expected")
    assert _read_outputs(folder / "out") == expected and len(expected) == 14
    manifest, records = _read_manifest(folder / "out")
    assert (manifest["images"], manifest["failed"]) == (7, 0)
    images = {image["input"]: image["outputs"][0] for record in records for image in record["images"]}
    assert images["more/6.png"]["file"] == "more/6.png"
    assert images["0.png"]["bytes"] == len(expected["0.png"])
    pages = [(folder / "out" / part["page"]).read_text() for part in manifest["parts"]]
    assert all("noise seed 0" in page for page in pages)


def test_what_is_done_is_left_out_and_what_failed_or_changed_is_done_again(folder):
    broken = folder / BROKEN
    broken.write_bytes(b"no picture")
    dangling = folder / "photos" / "dangling.png"
    dangling.symlink_to("nowhere.png")
    try:
        failed = _translate(folder, "again")
    finally:
        broken.unlink()
        dangling.unlink()
    assert failed.returncode == 1
    assert "2 of 9 images could not be translated; " in runs.last_line(failed)
    _, records = _read_manifest(folder / "again")
    errors = [image["error"] for record in records for image in record["images"] if "error" in image]
    assert len(errors) == 2
    assert all(any(str(file) in error for error in errors) for file in (broken, dangling))
    # Without it the files fall into other parts, and nothing that is there is taken for what it is not.
    assert _translate(folder, "again").returncode == 0
    (folder / "again" / "parts" / "part-00002-of-00003.json").unlink()
    times = {file: file.stat().st_mtime_ns for file in (folder / "again").rglob("*.png")}
    rest = _translate(folder, "again")
    assert rest.returncode == 0 and "2 parts of 3 done before" in rest.stderr, rest.stderr
    new = {file.name for file, before in times.items() if file.stat().st_mtime_ns != before}
    assert new == {"1.png", "4.png"}
    assert _read_outputs(folder / "again") == _read_outputs(folder / "expected")
    whole = _translate(folder, "again")
    assert whole.returncode == 0 and "3 parts of 3 done before" in whole.stderr


def test_images_of_a_store_and_of_its_shards_become_outputs_there(folder, s3):
    bucket, expected = s3.make_bucket(), _read_outputs(folder / "expected")
    stores.send(folder / "run", f"{bucket}/run")
    stores.send(folder / "photos", f"{bucket}/photos")
    pack_shards(folder / "photos", folder / "shards", photos=True)
    stores.send(folder / "shards", f"{bucket}/shards")
    for place, count in (("photos", 14), ("shards/train", 10)):
        flags = [f"--model={bucket}/run", f"--input={bucket}/{place}", f"--output={bucket}/out/{place}"]
        done = _translate(folder, "unused", *flags)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(f"parts: {bucket}/out/{place}/manifest.json\n")
        made = stores.read_all(f"{bucket}/out/{place}")
        assert {name: expected[name] for name in made if name in expected} == {
            name: held for name, held in made.items() if name.endswith((".png", ".jpg"))
        }
        assert len([name for name in made if name in expected]) == count
        manifest = json.loads(made["manifest.json"])
        assert manifest["model"] == f"{bucket}/run" and manifest["images"] == count // 2
        again = _translate(folder, "unused", *flags)
        assert again.returncode == 0 and " done before" in again.stderr, again.stderr
    assert not (folder / "unused").exists()


def test_workers_find_what_the_command_names_below_its_own_folder(folder, tmp_path):
    settings = {"method": "bicyclegan", "image_size": 32, "depth": 3, "base_filters": 4}
    config = make_config(dataset="synthetic", discriminator_layers=1, latent_size=4, **settings)
    write_run(tmp_path / "bicycle", config)
    shutil.copy(folder / "photos" / "0.png", tmp_path / "in.png")
    flags = ["--model=bicycle", "--input=in.png", "--interpolate=in.png:7:3"]
    for module, output in (("cluster.translate", "out"), ("translate", "expected")):
        command = [sys.executable, "-m", f"tfpix2pix.{module}", *flags, f"--output={output}"]
        done = runs.call(command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert _read_outputs(tmp_path / "out") == _read_outputs(tmp_path / "expected")


def test_what_no_worker_can_do_is_told_once(folder):
    refused = _translate(folder, "refused", "--hole=center")
    assert refused.returncode == 2
    assert runs.last_line(refused).startswith("error: --hole is for an inpainting model")
    assert not (folder / "refused" / "manifest.json").exists()
    missing = _translate(folder, "refused", "--model=nowhere")
    assert missing.returncode == 2 and "nowhere" in runs.last_line(missing)
