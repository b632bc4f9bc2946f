"""Images in record shards: all, those of a split or those of one side, here or in a store, are translated."""

import json
import re
import shutil

import numpy as np
import pytest

from tests.helpers import runs, stores
from tests.helpers.tiny_run import write_run
from tests.helpers.translating import translate
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.files.shards import MANIFEST
from tfpix2pix.pipelines.placing.pack import pack_shards
from tfpix2pix.pipelines.remote.outputs import OutputFolder
from tfpix2pix.translate.shard_inputs import list_sharded


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with pairs of two files, their shards, and a run."""
    folder = tmp_path_factory.mktemp("shards")
    for split, count in (("train", 2), ("test", 3)):
        for number in range(count):
            for side in ("input", "target"):
                pixels = np.random.default_rng(number).integers(0, 256, (24, 20, 3), np.uint8)
                runs.write_image(folder / "set" / split / side / f"{number}.png", pixels)
    pack_shards(folder / "set", folder / "shards")
    write_run(folder / "run")
    return folder


def _outputs(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*.png")}


def test_outputs_are_those_of_the_files(folder, tmp_path):
    translate(model=folder / "run", input=folder / "set/test/input", output=tmp_path / "expected")
    translate(model=folder / "run", input=folder / "shards/test/A", output=tmp_path / "out")
    assert (
        _outputs(tmp_path / "out") == _outputs(tmp_path / "expected") and len(_outputs(tmp_path / "out")) == 3
    )


def test_a_path_names_a_set_a_split_or_a_side(folder):
    shards = folder / "shards"
    everything = [file.title for file in list_sharded(f"{shards}/")]
    assert everything == [
        *(f"train/{side}/{number}.png" for number in range(2) for side in "AB"),
        *(f"test/{side}/{number}.png" for number in range(3) for side in "AB"),
    ]
    assert [file.name for file in list_sharded(f"{shards}/test")][:2] == ["A/0", "B/0"]
    assert list_sharded(str(folder / "set")) == [] == list_sharded(str(shards / "test/A/0.png"))
    with pytest.raises(UsageError, match="hold no val. Their splits are train, test, each with the sides A"):
        list_sharded(f"{shards}/val")


def test_shards_of_a_store_are_fetched(folder, tmp_path, s3):
    bucket = s3.make_bucket()
    url = stores.send(folder / "shards", f"{bucket}/deep/shards")
    stores.send(folder / "set/test/input", f"{bucket}/photos")
    assert list_sharded(f"{bucket}/photos") == [] == list_sharded(f"{bucket}/nothing")
    assert [file.title for file in list_sharded(f"{url}/test/B")] == ["0.png", "1.png", "2.png"]
    translate(model=folder / "run", input=f"{url}/test/A", output=f"{bucket}/out")
    translate(model=folder / "run", input=folder / "set/test/input", output=tmp_path / "expected")
    remote = {name: held for name, held in stores.read_all(f"{bucket}/out").items() if name.endswith(".png")}
    assert remote == _outputs(tmp_path / "expected")


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "a/../../b", "", "."])
@pytest.mark.parametrize("kind", ["pair", "split", "shard"])
def test_names_that_lead_out_of_the_folder_are_refused(folder, tmp_path, kind, name):
    shards = tmp_path / "shards"
    shutil.copytree(folder / "shards", shards)
    manifest = json.loads((shards / MANIFEST).read_bytes())
    split = manifest["splits"]["test"]
    if kind == "pair":
        split["pairs"][1][0] = name
    elif kind == "shard":
        split["shards"][0]["name"] = name
    else:
        manifest["splits"] = {"train": manifest["splits"]["train"], name: split}
    (shards / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(
        UserError, match=f"{re.escape(str(shards / MANIFEST))} is damaged: .* out of a folder"
    ):
        list_sharded(str(shards))


def test_no_output_is_written_outside_its_folder(tmp_path):
    for name in ("../out.png", "a/../../out.png", f"{tmp_path}/out.png"):
        with pytest.raises(UserError, match="leads out of .*folder, so it is not written"):
            OutputFolder(tmp_path / "folder").write(name, b"")
    OutputFolder(tmp_path / "folder").write("a/../b.png", b"")
    assert [file.name for file in tmp_path.rglob("*.png")] == ["b.png"]
