import json
import os
import resource
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import runs
from tfpix2pix.methods.build import build_train_step
from tfpix2pix.networks.build import build_generator
from tfpix2pix.pipelines.base.errors import UsageError, UserError, shorten
from tfpix2pix.run import checkpoints


@pytest.fixture(scope="module")
def train_step(tmp_path_factory):
    return build_train_step(runs.tiny_config(tmp_path_factory.mktemp("none")), 9)


def _fill(train_step, step):
    """Gives every value of the step's state a number that names the step."""
    for variable in train_step.variables().values():
        variable.assign(np.full(variable.shape, step, variable.dtype.as_numpy_dtype))


@pytest.fixture
def workdir(train_step, tmp_path):
    for step in (1, 2, 3):
        _fill(train_step, step)
        best = {"step": 1, "metric": "l1", "score": 0.5}
        checkpoints.save(tmp_path, train_step.variables(), {"best": best})
    _fill(train_step, 9)
    return tmp_path


def _values(train_step):
    return {float(value) for v in train_step.variables().values() for value in set(v.numpy().flat)}


def test_everything_comes_back(train_step, workdir):
    assert checkpoints.restore_latest(workdir, train_step.variables()) == 3
    assert _values(train_step) == {3.0}
    state = runs.read_state(workdir, 3)
    weights = len(train_step.generator.variables) + len(train_step.discriminator.variables)
    # Weights, two slots each, two counts of iterations, the step.
    assert len(state) == 3 * weights + 2 + 1


@pytest.mark.parametrize("name", ["r[x]", "r[!y]", "r\\x", "r*", "r?", "a b", "é", os.fsdecode(b"caf\xe9")])
def test_a_folder_may_have_any_name(train_step, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for step, folder in ((1, Path("rx")), (2, Path(name)), (3, Path("ry"))):
        _fill(train_step, step)
        checkpoints.save(folder, train_step.variables(), {})
    for folder in (Path(name), tmp_path / name, Path("rx") / ".." / name):
        assert checkpoints.restore_latest(folder, train_step.variables()) == 2
        assert _values(train_step) == {2.0}
        weights = checkpoints.read_weights(folder, 2, "generator")
        assert len(weights) == len(train_step.generator.variables)
        assert {float(value) for weight in weights.values() for value in weight.flat} == {2.0}


def _cut(folder):
    file = folder / "state.data-00000-of-00001"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _flip(folder):
    file = folder / "state.data-00000-of-00001"
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 255
    file.write_bytes(content)


def _empty_index(folder):
    (folder / "state.index").write_bytes(b"")


def _drop_index(folder):
    (folder / "state.index").unlink()


def _drop_metadata(folder):
    (folder / "checkpoint.json").unlink()


def _cut_metadata(folder):
    (folder / "checkpoint.json").write_text('{"step": 3, "be')


def _flip_metadata(folder):
    file = folder / "checkpoint.json"
    file.write_text(file.read_text().replace('"score": 0.5', '"score": 0.4'))


def _empty(folder):
    shutil.rmtree(folder)
    folder.mkdir()


DAMAGES = [_cut, _flip, _empty_index, _drop_index, _drop_metadata, _cut_metadata, _flip_metadata, _empty]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_is_reported_set_aside_and_the_one_before_used(train_step, workdir, capsys, damage):
    newest = checkpoints.checkpoint_folder(workdir, 3)
    damage(newest)
    assert checkpoints.restore_latest(workdir, train_step.variables()) == 2
    assert _values(train_step) == {2.0}
    assert f"warning: {newest} is damaged (" in capsys.readouterr().err
    assert checkpoints.list_steps(workdir) == [1, 2]
    assert (workdir / "checkpoints" / "damaged-step-00000003").is_dir()


def test_other_workers_restore_the_same_and_leave_the_folder_as_it_is(train_step, workdir):
    _cut(checkpoints.checkpoint_folder(workdir, 3))
    (workdir / "checkpoints" / ".step-00000004.partial").mkdir()
    before = sorted(workdir.rglob("*"))
    assert checkpoints.restore_latest(workdir, train_step.variables(), is_chief=False) == 2
    assert _values(train_step) == {2.0}
    assert sorted(workdir.rglob("*")) == before


def test_a_checkpoint_that_is_not_read_for_want_of_open_files_is_not_damaged(train_step, workdir):
    before, limits = sorted(workdir.rglob("*")), resource.getrlimit(resource.RLIMIT_NOFILE)
    highest, taken = max(map(int, os.listdir("/proc/self/fd"))), [os.open(os.devnull, os.O_RDONLY)]
    while taken[-1] <= highest:  # No number below is free then.
        taken.append(os.open(os.devnull, os.O_RDONLY))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken[-1] + 2, limits[1]))  # one more
        with pytest.raises(
            UserError, match="step-00000003 could not be read for want of .*Too many open files"
        ):
            checkpoints.restore_latest(workdir, train_step.variables(), is_chief=False)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for each in taken:
            os.close(each)
    assert checkpoints.restore_latest(workdir, train_step.variables()) == 3
    assert sorted(workdir.rglob("*")) == before


def test_all_damaged_is_an_error_that_touches_nothing(train_step, workdir):
    for step in (1, 2, 3):
        _cut(checkpoints.checkpoint_folder(workdir, step))
    before = sorted(str(path) for path in workdir.rglob("*"))
    with pytest.raises(UserError, match="no checkpoint in .* can be read. Move the folder away"):
        checkpoints.restore_latest(workdir, train_step.variables())
    assert sorted(str(path) for path in workdir.rglob("*")) == before


def test_no_flipped_bit_of_the_metadata_changes_what_is_read(workdir):
    file = checkpoints.checkpoint_folder(workdir, 3) / "checkpoint.json"
    written = file.read_bytes()
    values = {"step": 3, "best": {"step": 1, "metric": "l1", "score": 0.5}}
    assert checkpoints.read_metadata(workdir, 3) == values
    found = 0
    for place, byte in enumerate(written):
        for bit in range(8):
            file.write_bytes(written[:place] + bytes([byte ^ 1 << bit]) + written[place + 1 :])
            try:
                read = checkpoints.read_metadata(workdir, 3)
            except ValueError:
                found += 1
            else:  # Of the name of the digest, or of white space.
                assert {name: read[name] for name in values} == values
    assert found > 0.6 * 8 * len(written)


def test_metadata_of_older_versions_have_no_digest(workdir):
    file = checkpoints.checkpoint_folder(workdir, 3) / "checkpoint.json"
    file.write_text('{"step": 3, "best": null}')
    assert checkpoints.read_metadata(workdir, 3) == {"step": 3, "best": None}


def test_files_are_on_the_disk_before_a_checkpoint_counts(train_step, tmp_path, monkeypatch):
    events, fsync, replace = [], os.fsync, os.replace

    def note_fsync(descriptor):
        events.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def note_replace(source, target):
        events.append("renamed")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    _fill(train_step, 4)
    folder = checkpoints.save(tmp_path, train_step.variables(), {})
    renamed = events.index("renamed")
    files = sorted(path.stat().st_ino for path in folder.iterdir())
    assert len(files) == 3
    assert sorted(events[:renamed]) == sorted([*files, folder.stat().st_ino])
    assert events[renamed + 1 :] == [folder.parent.stat().st_ino]


def test_a_new_run_starts_at_0(train_step, tmp_path):
    assert checkpoints.restore_latest(tmp_path, train_step.variables()) == 0


def test_what_a_killed_save_left_is_removed(train_step, workdir):
    leftover = workdir / "checkpoints" / ".step-00000004.partial"
    leftover.mkdir()
    (leftover / "state.index").write_bytes(b"half")
    assert checkpoints.restore_latest(workdir, train_step.variables()) == 3
    assert not leftover.exists()


@pytest.mark.parametrize("renames, value", [(0, 3.0), (1, 3.0), (2, 9.0)])
def test_a_save_of_the_same_step_that_is_killed_leaves_one_of_both(
    train_step, workdir, monkeypatch, renames, value
):
    train_step.step.assign(3)
    done, replace = [], os.replace

    def replace_until_killed(source, target):
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(target)
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", replace_until_killed)
        checkpoints.save(workdir, train_step.variables(), {})
        os.replace(workdir, workdir)  # where the last one is killed after it was done
    # Whoever looks before it is put back, as one who would take the weights of `init_from`, finds it, too.
    assert checkpoints.list_steps(workdir) == [1, 2, 3]
    assert checkpoints.read_metadata(workdir, 3)["step"] == 3
    assert checkpoints.restore_latest(workdir, train_step.variables()) == 3
    assert _values(train_step) == {3.0, value}
    assert sorted(path.name[-1] for path in (workdir / "checkpoints").iterdir()) == ["1", "2", "3"]


def test_a_replaced_checkpoint_whose_files_do_not_go_stops_no_later_save(train_step, workdir, monkeypatch):
    """As on NFS, where the file of a reader stays, under another name, until it is closed."""

    def leave_one(folder, ignore_errors):
        if folder.exists():
            (folder / ".nfs0").touch()

    train_step.step.assign(3)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", leave_one)
        for _ in range(3):
            checkpoints.save(workdir, train_step.variables(), {})
    checkpoints.prune(workdir, 1, 2)
    assert checkpoints.list_steps(workdir) == [2, 3]
    shutil.rmtree(workdir / "checkpoints" / "step-00000003")
    assert checkpoints.restore_latest(workdir, train_step.variables()) == 2
    assert [path.name for path in (workdir / "checkpoints").iterdir()] == ["step-00000002"]


@pytest.mark.parametrize(
    "keep, best, left",
    [(1, None, [3]), (1, 1, [1, 3]), (2, None, [2, 3]), (2, 2, [2, 3]), (9, None, [1, 2, 3])],
)
def test_the_latest_and_the_best_are_kept(workdir, keep, best, left):
    checkpoints.prune(workdir, keep, best)
    assert checkpoints.list_steps(workdir) == left


@pytest.mark.parametrize("which, step", [("latest", 3), (None, 3), ("best", 1), ("2", 2), (2, 2)])
def test_checkpoints_by_name(workdir, which, step):
    assert checkpoints.find_step(workdir, which) == step


@pytest.mark.parametrize("which", ["7", "newest", "-1", "²", 0, 7])
def test_a_checkpoint_that_is_not_there_is_refused_with_those_that_are(workdir, which):
    with pytest.raises(UsageError) as caught:
        checkpoints.find_step(workdir, which)
    assert str(caught.value).endswith(
        f"has no checkpoint {which}; `checkpoint` takes latest, best or one of 1, 2, 3"
    )


def test_without_a_validation_there_is_no_best(workdir):
    file = checkpoints.checkpoint_folder(workdir, 3) / "checkpoint.json"
    file.write_text(json.dumps({"step": 3, "best": None}))
    with pytest.raises(UsageError, match="has no best checkpoint yet: no validation has run"):
        checkpoints.find_step(workdir, "best")


def test_a_damaged_latest_is_named_when_the_best_is_sought(workdir):
    _drop_metadata(checkpoints.checkpoint_folder(workdir, 3))
    with pytest.raises(UserError, match="step-00000003 is damaged"):
        checkpoints.find_step(workdir, "best")


def test_a_folder_without_checkpoints_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no checkpoint"):
        checkpoints.find_step(tmp_path, "latest")


def test_the_generator_comes_back_alone(train_step, workdir):
    generator = build_generator(runs.tiny_config(workdir))
    checkpoints.restore_model(workdir, 2, "generator", generator)
    assert {float(value) for v in generator.variables for value in set(np.ravel(v.numpy()))} == {2.0}
    _drop_index(checkpoints.checkpoint_folder(workdir, 2))
    with pytest.raises(UserError, match="step-00000002 cannot be read .*try another `checkpoint`"):
        checkpoints.restore_model(workdir, 2, "generator", generator)


def test_a_checkpoint_that_cannot_be_written_says_why(train_step, tmp_path):
    _fill(train_step, 9)
    workdir = tmp_path / ("long" * 50)
    ignore = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # what a full disk does
    try:
        with pytest.raises(UserError) as caught:
            checkpoints.save(workdir, train_step.variables(), {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignore)
    message = str(caught.value)
    assert "File too large); there is no checkpoint yet. Make room" in message and "{{" not in message


@pytest.mark.parametrize(
    "error, text",
    [
        (AssertionError(), "AssertionError"),
        (ValueError("a reason\nand more"), "a reason"),
        (ValueError(f"first {'x' * 300} last"), f"first {'x' * 94} ... {'x' * 95} last"),
    ],
)
def test_messages_of_errors_are_shortened_in_the_middle(error, text):
    assert shorten(error) == text


def test_weights_that_are_not_finite_are_not_saved(train_step, workdir):
    train_step.generator.variables[0].assign(train_step.generator.variables[0] * np.inf)
    with pytest.raises(UserError, match="generator/.* is not finite at step 9, so it was not saved"):
        checkpoints.save(workdir, train_step.variables(), {})
    assert checkpoints.list_steps(workdir) == [1, 2, 3]
