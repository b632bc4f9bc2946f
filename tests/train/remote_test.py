"""A training whose data and run are in a store: killed, and gone on with on another machine."""

import signal

import pytest

from tests.helpers import runs, stores
from tfpix2pix.pipelines.remote.store import Store
from tfpix2pix.run.remote_workdir import list_whole_steps

EVERY = {"checkpoint_every_steps": 2, "validate_every_steps": 10**6, "summary_every_steps": 2}


@pytest.mark.slow
def test_a_killed_training_goes_on_on_an_empty_machine_with_the_same_weights(tmp_path, s3, monkeypatch):
    data, bucket = runs.write_dataset(tmp_path / "tiny"), s3.make_bucket()
    url, remote_data = f"{bucket}/run", stores.send(data, f"{bucket}/data/tiny")
    store = Store(url)
    process = runs.start(runs.train_command(f"{bucket}/data", url, steps=10**6, **EVERY))
    runs.wait_until(lambda: len(list_whole_steps(store.list_files())) > 1, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = list_whole_steps(store.list_files())
    steps = kept[-1] + 3
    assert store.write("notes.txt", b"somebody's")

    monkeypatch.setenv("TFPIX2PIX_CACHE", str(tmp_path / "another machine"))
    # Its cache is another one, so that nothing tells that the holder of the run is gone.
    monkeypatch.setattr("tfpix2pix.run.lease.LEASE_SEC", 1)
    done = runs.call(runs.train_command(f"{bucket}/data", url, steps=steps, keep_checkpoints=1, **EVERY))
    assert done.returncode == 0, done.stderr
    assert f"going on from step {kept[-1]} of {steps}" in done.stderr
    assert f"{remote_data}/train: 6 pairs" in done.stderr
    assert f"done: {steps} steps in {url}\n" in done.stdout
    assert f"--model={url} --input={remote_data}/val" in done.stdout and str(tmp_path) not in done.stdout

    names = store.list_files()
    assert list_whole_steps(names) == [steps]
    assert {"config.json", "metrics.jsonl", "notes.txt"} <= set(names)
    assert any(name.startswith("tensorboard/run/events") for name in names)
    assert not any(name.startswith(".") for name in names)

    whole, fetched = tmp_path / "whole", tmp_path / "fetched"
    assert runs.call(runs.train_command(data, whole, steps=steps, **EVERY)).returncode == 0
    for name in names:
        store.fetch(name, fetched / name)
    runs.assert_same_state(runs.read_state(fetched, steps), runs.read_state(whole, steps))
    assert runs.read_metrics(fetched) == runs.read_metrics(whole)
