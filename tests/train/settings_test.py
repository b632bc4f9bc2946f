"""Which settings a call of train asks for: by flags, by a file, by a run, by a folder."""

import importlib.util
import json

import pytest

from tests.helpers import runs
from tfpix2pix.config.config import make_config
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.train.settings import merge, read_file, settle_settings


def _write_run(folder, **settings):
    folder.mkdir(parents=True)
    text = make_config(**settings).to_json()
    (folder / "config.json").write_text(f'{{"config": {text}, "training_set": null}}')
    return folder


@pytest.mark.parametrize(
    ("folder", "name"),
    [("cats", "cats"), ("my pairs", "my_pairs"), (".a", "_a"), ("facades", "my_facades")],
)
def test_a_folder_alone_names_the_run_and_takes_the_recipe_for_own_pairs(tmp_path, folder, name):
    config, workdir = settle_settings({"data_dir": str(tmp_path / folder), "dataset": None})
    assert (config.dataset, config.direction, str(workdir)) == (name, "AtoB", f"runs/{name}")
    assert make_config(data_dir=str(tmp_path / folder)) == config


def test_a_folder_of_datasets_is_not_one(tmp_path):
    for folder in ("b/train", "a/Training"):
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(UsageError, match="holds a, b: give one of them, such as `dataset=a`"):
        settle_settings({"data_dir": str(tmp_path)})


@pytest.mark.parametrize("workdir", [None, "nothing"])
def test_nothing_to_train_on(tmp_path, workdir):
    with pytest.raises(UsageError) as caught:
        settle_settings({}, workdir and tmp_path / workdir)
    for words in (
        "`data_dir=FOLDER`",
        "`dataset=NAME`",
        "synthetic, facades, cityscapes",
        "`workdir` of a run",
    ):
        assert words in str(caught.value)


def test_a_run_goes_on_by_its_own_settings(tmp_path):
    saved = make_config(dataset="mine", lambda_l1=10.0, steps=5, image_size=64, jitter=False)
    run = _write_run(tmp_path / "run", dataset="mine", lambda_l1=10.0, steps=5, image_size=64, jitter=False)
    assert settle_settings({"steps": None}, run) == (saved, run)
    longer, _ = settle_settings({"steps": 9, "data_dir": "elsewhere"}, run)
    assert (longer.steps, longer.data_dir, longer.lambda_l1) == (9, "elsewhere", 10.0)
    assert settle_settings({"epochs": 3}, run)[0].steps is None
    # With a dataset the call says everything, as a first call does.
    assert settle_settings({"dataset": "mine"}, run)[0] == make_config(dataset="mine")


def test_a_new_run_takes_the_settings_of_another_and_flags_win(tmp_path):
    run = _write_run(tmp_path / "run", dataset="facades", image_size=64, base_filters=2, mirror=False)
    config, workdir = settle_settings(
        {"dataset": "mine", "image_size": "128"}, tmp_path / "new", run / "config.json"
    )
    assert workdir == tmp_path / "new" and config == make_config(
        dataset="mine", direction="BtoA", image_size=128, base_filters=2, mirror=False
    )


def test_other_pairs_of_ones_own_bring_their_own_name(tmp_path):
    file = _write_run(tmp_path / "run", dataset="cats", base_filters=2) / "config.json"
    (tmp_path / "sets" / "cats").mkdir(parents=True)
    for data_dir, name in (("dogs", "dogs"), ("sets", "cats")):
        config, workdir = settle_settings({"data_dir": str(tmp_path / data_dir)}, None, file)
        assert (config.dataset, config.base_filters, str(workdir)) == (name, 2, f"runs/{name}")


def test_the_settings_of_a_run_are_for_another_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = _write_run(tmp_path / "runs" / "cats", dataset="cats") / "config.json"
    with pytest.raises(UsageError, match="give `workdir` for a new run with its settings"):
        settle_settings({}, None, file)
    assert settle_settings({}, tmp_path / "new", file)[1] == tmp_path / "new"


@pytest.mark.parametrize(
    ("saved", "given", "expected"),
    [
        ({"image_size": 64, "load_size": 72}, {"image_size": 128}, {"image_size": 128}),
        ({"image_size": 64, "load_size": 90}, {"image_size": 80}, {"image_size": 80, "load_size": 90}),
        (
            {"image_size": [64, 64], "load_size": [72, 72]},
            {"jitter": False},
            {"image_size": [64, 64], "jitter": False},
        ),
        (
            {"image_size": [64, 64], "load_size": [90, 90]},
            {"resize": "none"},
            {"image_size": [64, 64], "resize": "none"},
        ),
        ({"preset": "recipe", "ema_decay": 0.0}, {"preset": "fast"}, {"preset": "fast"}),
        ({"task": "pairs", "direction": "BtoA"}, {"task": "edges"}, {"task": "edges"}),
        ({"task": "pairs", "direction": "BtoA"}, {"task": "pairs"}, {"task": "pairs", "direction": "BtoA"}),
    ],
)
def test_what_followed_from_a_setting_follows_from_its_new_value(saved, given, expected):
    assert merge(saved, given) == expected


def test_a_plain_mapping_is_a_file_of_settings(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text('{"dataset": "mine", "image_size": "32x64", "steps": 7}')
    config, workdir = settle_settings({"steps": 8}, None, file)
    assert config == make_config(dataset="mine", image_size="32x64", steps=8)
    assert str(workdir) == "runs/mine"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1]", "does not hold settings"),
        ("{", "a.json cannot be read"),
        ('{"dataset": "caf\xe9"}', "a.json cannot be read: .* codec can't decode"),
        (None, "takes a file of settings"),
    ],
)
def test_files_that_are_none(tmp_path, text, reason):
    if text is not None:
        (tmp_path / "a.json").write_text(text, "latin-1")
    with pytest.raises(UserError, match=reason):
        read_file(tmp_path / "a.json")


def test_yaml_needs_its_package_and_is_read_where_there_is_one(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("dataset: mine\nimage_size: 64\nmirror: false\n")
    if importlib.util.find_spec("yaml"):
        assert read_file(file) == {"dataset": "mine", "image_size": 64, "mirror": False}
    else:
        with pytest.raises(UserError, match="pip install pyyaml"):
            read_file(file)


def test_a_run_that_is_stopped_goes_on_by_its_folder_alone(tmp_path):
    data_dir = runs.write_dataset(tmp_path / "cats")
    run = tmp_path / "run"
    first = runs.call(runs.train_command(data_dir, run, steps=2, checkpoint_every_steps=1, lambda_l1=10.0))
    assert first.returncode == 0, first.stderr
    train = [runs.sys.executable, "-m", "tfpix2pix.train", f"--workdir={run}"]
    second = runs.call([*train, "--steps=3"])
    assert second.returncode == 0 and "going on from step 2 of 3" in second.stderr, second.stderr
    assert json.loads((run / "config.json").read_text())["config"]["lambda_l1"] == 10.0
    third = runs.call([*train, "--lambda_l1=20"])
    assert third.returncode == 2 and "--lambda_l1 was 10.0, is 20.0" in runs.last_line(third)
