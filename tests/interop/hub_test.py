"""Runs go to a Hub on 127.0.0.1 and come back as the same generator."""

import json

import numpy as np
import pytest

from tests.helpers import runs
from tests.helpers.http_servers import running
from tests.helpers.hub_server import HubServer
from tests.helpers.tiny_run import write_run
from tfpix2pix.interop import hub
from tfpix2pix.networks.keras_versions import IS_KERAS_3
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.run.generator import load_generator
from tfpix2pix.train.pretrained import from_pretrained

pytest.importorskip("huggingface_hub", reason="the extra [hub] is not installed")
if not IS_KERAS_3:
    pytest.skip("a model for the Hub is a .keras file of Keras 3", allow_module_level=True)

IMAGES = np.linspace(-1, 1, 32 * 32 * 3, dtype="float32").reshape(1, 32, 32, 3)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("hub") / "run")


@pytest.fixture
def server(monkeypatch, tmp_path):
    with running(HubServer()) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        yield server


def test_a_run_that_was_pushed_comes_back(server, run):
    url = hub.push_to_hub(run, "somebody/facades", which="best", token="hf_may_write")
    assert url == f"{server.url}/somebody/facades"
    files = server.files["somebody/facades"]
    assert set(files) == {"generator.keras", "tfpix2pix.json", "README.md"}
    assert json.loads(files["tfpix2pix.json"])["step"] == 1
    begin, front, text = files["README.md"].decode().split("---\n", 2)
    assert begin == ""
    assert {"library_name: keras", "pipeline_tag: image-to-image", "- pix2pix"} <= set(front.splitlines())
    assert 'from_pretrained("hf://somebody/facades")' in text

    generator = from_pretrained("hf://somebody/facades")
    expected = load_generator(run, "best")[0]
    np.testing.assert_array_equal(np.asarray(generator(IMAGES)), np.asarray(expected(IMAGES)))
    file = hub.fetch_from_hub("hf://somebody/facades/generator.keras")
    assert file.name == "generator.keras"
    of_folder = from_pretrained(file.parent)
    np.testing.assert_array_equal(np.asarray(of_folder(IMAGES)), np.asarray(expected(IMAGES)))


def test_a_new_run_begins_with_the_weights_of_a_model_of_the_hub(server, run, tmp_path, capsys):
    hub.write_hub_folder(run, tmp_path / "model")
    files = {file.name: file.read_bytes() for file in (tmp_path / "model").iterdir()}
    server.files["somebody/facades"] = files
    data_dir = runs.write_dataset(tmp_path / "tiny")
    command = runs.train_command(
        data_dir, "new", init_from="hf://somebody/facades", base_filters=4, steps=1, learning_rate=0.0
    )
    process = runs.call(command, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert "starting with the weights of hf://somebody/facades" in process.stderr
    started, expected = load_generator(tmp_path / "new")[0], load_generator(run)[0]
    np.testing.assert_array_equal(np.asarray(started(IMAGES)), np.asarray(expected(IMAGES)))
    origin = json.loads((tmp_path / "new" / "config.json").read_text())["origin"]
    assert (origin["kind"], origin["name"]) == ("keras", "hf://somebody/facades")
    server.files.clear()  # A run that goes on asks nobody.
    process = runs.call(command, cwd=tmp_path)
    assert process.returncode == 0, process.stderr


def test_the_card_tells_the_scores_as_the_hub_reads_them():
    import yaml  # which huggingface_hub brings

    about = {"dataset": "facades", "step": 9, "scores": {"validation": {"l1": 0.25}}}
    about["config"] = {"generator": "unet", "direction": "BtoA"}
    readme = hub._write_readme(about, (32, 48), "somebody/facades")
    front = yaml.safe_load(readme.split("---\n")[1])
    (entry,) = front["model-index"]
    (result,) = entry["results"]
    assert result["task"]["type"] == "image-to-image"
    assert result["dataset"] == {"name": "facades", "type": "facades", "split": "validation"}
    assert [(metric["type"], metric["value"]) for metric in result["metrics"]] == [("l1", 0.25)]
    assert "| l1 | 0.2500 |" in readme and "[B, 32, 48, C]" in readme


def test_what_the_hub_refuses_is_said_with_the_ways_out(server, run):
    with pytest.raises(UserError, match=f"cannot upload to {server.url}/somebody/facades: .*hf auth login"):
        hub.push_to_hub(run, "somebody/facades", token="hf_may_read")
    with pytest.raises(UserError, match=f"cannot download {server.url}/somebody/nothing: .*hf download"):
        from_pretrained("hf://somebody/nothing")


def test_without_an_answer_the_url_and_the_ways_out_are_named(monkeypatch, tmp_path):
    with running(HubServer()) as gone:
        monkeypatch.setenv("HF_ENDPOINT", gone.url)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=f"cannot download {gone.url}/somebody/facades: .*without a network"):
        from_pretrained("hf://somebody/facades")


def test_a_repository_has_to_tell_which_model_is_meant(server):
    server.files["somebody/two"] = {"a.keras": b"a", "b.keras": b"b"}
    with pytest.raises(
        UsageError, match="holds a.keras, b.keras: give one of them, such as hf://somebody/two/a"
    ):
        hub.fetch_from_hub("hf://somebody/two")
    server.files["somebody/none"] = {"notes.txt": b""}
    with pytest.raises(UserError, match="holds no model that can be opened here: .* It holds notes.txt"):
        hub.fetch_from_hub("hf://somebody/none")
    with pytest.raises(UsageError, match="hf://user/repo or hf://user/repo/FILE"):
        hub.fetch_from_hub("hf://somebody")


@pytest.mark.parametrize(
    ("name", "revision", "file"),
    [
        ("hf://a/b@refs/pr/1/x.keras", "refs/pr/1", "x.keras"),
        ("hf://a/b@v2/c/x.keras", "v2", "c/x.keras"),
        ("hf://a/b/c/x.keras", None, "c/x.keras"),
    ],
)
def test_a_revision_may_be_that_of_a_pull_request(monkeypatch, tmp_path, name, revision, file):
    asked = []

    def download(repo, **options):
        asked.append((repo, options["revision"], options["allow_patterns"]))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert hub.fetch_from_hub(name) == tmp_path / file
    assert asked == [("a/b", revision, [f"{file}*"])]
