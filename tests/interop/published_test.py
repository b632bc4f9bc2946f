"""Files from a server on 127.0.0.1: kept, remembered, compared; and the networks in them."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import references, runs
from tests.helpers.http_servers import web_server
from tfpix2pix.config.config import describe
from tfpix2pix.export.model_card import describe_run
from tfpix2pix.interop import published, torch_weights
from tfpix2pix.interop.fetching import fetch
from tfpix2pix.networks.variables import weights_of
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.run import checkpoints
from tfpix2pix.run.folder import read_config, write_config
from tfpix2pix.run.generator import load_generator
from tfpix2pix.run.steps import METADATA
from tfpix2pix.run.summaries import Summaries
from tfpix2pix.train.dry_run import describe_training
from tfpix2pix.train.origin import read_origin
from tfpix2pix.train.pretrained import from_pretrained
from tfpix2pix.train.settings import find_origin_kind


def _recorded_state():
    """Returns the state dict of a U-Net with batch norm, as the reference's code has made it."""
    return references.below(references.read("torch_networks.npz"), "batch/state/")


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Returns a folder that is served, and its URL; downloads are kept in `cache` beside it."""
    folder = tmp_path / "served"
    folder.mkdir()
    monkeypatch.setenv("TFPIX2PIX_CACHE", str(tmp_path / "cache"))
    with web_server(folder) as url:
        yield folder, url


def test_a_file_is_downloaded_once_and_remembered(served):
    folder, url = served
    (folder / "model.pth").write_bytes(b"first")
    file = published.fetch_published(f"{url}/model.pth")
    assert file.read_bytes() == b"first" and file.suffix == ".pth"
    record = json.loads(file.with_name(f"{file.name}.json").read_text())
    first = "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e"
    assert record == {"url": f"{url}/model.pth", "size": 5, "sha256": first}

    (folder / "model.pth").unlink()
    assert published.fetch_published(f"{url}/model.pth") == file  # The server is not asked again.
    assert {path.suffix for path in file.parent.iterdir()} <= {".pth", ".json", ".lock"}


def test_another_file_than_at_the_first_download_is_refused(served):
    folder, url = served
    (folder / "model.pth").write_bytes(b"first")
    file = published.fetch_published(f"{url}/model.pth")
    file.unlink()
    (folder / "model.pth").write_bytes(b"other!")
    with pytest.raises(UserError, match=f"{url}/model.pth is not the file .*: 6 bytes .* instead of 5 bytes"):
        published.fetch_published(f"{url}/model.pth")
    assert not file.exists()
    other = hashlib.sha256(b"other!").hexdigest()
    assert published.fetch_published(f"{url}/model.pth", other).read_bytes() == b"other!"
    published.fetch_published(f"{url}/model.pth")  # What was confirmed is remembered.

    file.write_bytes(b"damage")
    with pytest.raises(UserError, match="is not the file that it was"):
        published.fetch_published(f"{url}/model.pth")


def test_a_file_of_another_sum_than_the_given_one_is_not_kept(served):
    folder, url = served
    (folder / "model.pth").write_bytes(b"first")
    with pytest.raises(UserError, match="is not the file that was asked for: its SHA-256 is a7937b"):
        fetch(f"{url}/model.pth", "0" * 64)
    assert not [path for path in published.cache_folder().iterdir() if path.suffix != ".lock"]


def test_without_the_file_the_url_and_the_ways_out_are_named(served):
    _, url = served
    with pytest.raises(
        UserError, match=f"cannot download {url}/model.pth: .*404.* put it at /.*/model-.*pth"
    ):
        fetch(f"{url}/model.pth")


def test_what_needs_no_download_is_left_alone(served, tmp_path):
    assert fetch("runs/facades") == "runs/facades"
    with pytest.raises(UsageError, match="`sha256` is for the URL of a file"):
        fetch("runs/facades", "0" * 64)


def test_a_run_and_a_saved_model_of_a_web_server_are_fetched(served):
    folder, url = served
    state = "runs/x/checkpoints/step-00000002/state.index"
    for name in ("runs/x/config.json", state, state.replace("state.index", METADATA), "m/1/saved_model.pb"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    run, saved = fetch(f"{url}/runs/x"), fetch(f"{url}/m")
    assert (find_origin_kind(str(run)), find_origin_kind(str(saved))) == ("run", "saved_model")
    assert (run / state.removeprefix("runs/x/")).is_file()
    with pytest.raises(UsageError, match="`sha256` is for the URL of a file"):
        fetch(f"{url}/runs/x", "0" * 64)


def test_secrets_in_urls_stay_out_of_records_and_messages(served, tmp_path, capsys):
    folder, url = served
    secret = f"{url.replace('//', '//user:hidden@')}/runs/x"
    np.savez(folder / "net_G.npz", **_recorded_state())
    origin = read_origin(f"{url}/net_G.npz?signature=hidden")
    assert origin.path == origin.record["name"] == f"{url}/net_G.npz"
    (record,) = (tmp_path / "cache").glob("net_G*.json")
    assert json.loads(record.read_text())["url"] == f"{url}/net_G.npz"
    with pytest.raises(UserError) as failed:
        fetch(f"{url}/none.npz?signature=hidden")
    config = runs.tiny_config(tmp_path, init_from=f"{url}/net_G.npz?signature=hidden")
    run = tmp_path / "run"
    write_config(run, config, None, origin={**origin.record, "name": secret})  # as earlier versions did
    checkpoints.save(run, {"step": tf.Variable(1, dtype=tf.int64)}, {})
    card = describe_run(run, config, 1)
    assert card["origin"]["name"] == f"{url}/runs/x"
    Summaries(run, 0, config).close()
    (events,) = run.rglob("events.out.tfevents.*")
    told = f"{origin.record} {failed.value} {describe(config)} {card} {events.read_bytes()!r}"
    assert "hidden" not in f"{told} {capsys.readouterr()}" and told.count(f"{url}/net_G.npz") == 4


def test_the_command_of_a_dry_run_leaves_secrets_out_and_says_so(served, tmp_path):
    folder, url = served
    np.savez(folder / "net_G.npz", **_recorded_state())
    run, given = tmp_path / "run", f"{url}/net_G.npz?signature=hidden"
    torch_weights.main(["torch_weights", f"--pretrained_url={given}", f"--output={run}"])
    for init_from, told in ((given, True), (f"{url}/net_G.npz", False)):
        config = dataclasses.replace(read_config(run), dataset="synthetic", init_from=init_from)
        lines = describe_training(config, tmp_path / "new").splitlines()
        assert "hidden" not in str(lines) and f"--init_from={url}/net_G.npz" in str(lines)
        assert any(line.startswith("left out:      give `init_from` with") for line in lines) == told


def test_published_networks_become_generators_and_runs(served, tmp_path):
    folder, url = served
    np.savez(folder / "net_G.npz", **_recorded_state())
    run = tmp_path / "run"
    torch_weights.main(["torch_weights", f"--pretrained_url={url}/net_G.npz", f"--output={run}"])
    of_run, config, _ = load_generator(run)
    generator = from_pretrained(f"{url}/net_G.npz")
    size = 2**config.depth
    images = np.linspace(-1, 1, size * size * 3, dtype="float32").reshape(1, size, size, 3)
    images = images[..., : config.input_channels]
    np.testing.assert_array_equal(np.asarray(generator(images)), np.asarray(of_run(images)))


def test_a_new_run_begins_with_published_weights(served, tmp_path):
    folder, url = served
    np.savez(folder / "net_G.npz", **_recorded_state())
    origin = read_origin(f"{url}/net_G.npz")
    assert (origin.path, origin.record["kind"]) == (f"{url}/net_G.npz", "torch")
    generator = from_pretrained(f"{url}/net_G.npz")
    assert origin.generator.keys() <= weights_of(generator).keys()
    for name, values in origin.generator.items():
        np.testing.assert_array_equal(weights_of(generator)[name], values)
    command = runs.train_command(runs.write_dataset(tmp_path / "tiny"), "new", init_from=f"{url}/nothing.npz")
    process = runs.call(command, cwd=tmp_path)
    assert process.returncode == 1
    assert f"cannot download {url}/nothing.npz" in process.stderr and "Ways out" in process.stderr
    assert not (tmp_path / "new").exists()


def test_a_name_brings_its_dataset_and_direction(served, tmp_path, monkeypatch):
    folder, url = served
    monkeypatch.setattr(published, "_BASE_URL", url)
    # The reference publishes .pth files, which take PyTorch to read.
    monkeypatch.setattr(published, "_SUFFIX", ".npz")
    np.savez(folder / "map2sat.npz", **_recorded_state())
    torch_weights.main(["torch_weights", "--pretrained=map2sat", f"--output={tmp_path / 'run'}"])
    config = read_config(tmp_path / "run")
    assert (config.dataset, config.direction) == ("maps", "BtoA")


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--pretrained=map2sat", "--checkpoint=x.npz"], "--checkpoint, --pretrained: give one of them"),
        (["--pretrained=horse2zebra"], "--pretrained is one of edges2shoes, .* Received: horse2zebra"),
        (["--checkpoint=x.npz", f"--sha256={'0' * 64}"], "--sha256 is for --pretrained"),
    ],
)
def test_wrong_flags_are_refused(flags, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        torch_weights.main(["torch_weights", *flags, f"--output={tmp_path / 'run'}"])
