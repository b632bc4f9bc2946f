import json
import os
import runpy
import shlex
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import runs
from tests.helpers.tiny_run import write_run
from tfpix2pix.export.servable import Servable
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.run.generator import load_generator

ROOT = Path(__file__).resolve().parents[2]
main = runpy.run_module("tfpix2pix.export")["main"]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "tiny")


def run_command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    return runs.call([sys.executable, "-m", "tfpix2pix.export", *arguments], cwd)


def test_the_command_exports_a_checkpoint_and_says_how_to_serve_it(workdir, tmp_path):
    process = run_command(f"--workdir={workdir}", "--checkpoint=best", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    folder = tmp_path / "saved_models" / "synthetic"
    assert [path.name for path in folder.iterdir()] == ["1"]
    lines = process.stdout.splitlines()
    assert lines[0].startswith(f"exporting step 1 of {workdir}")
    assert lines[1] == "SavedModel: saved_models/synthetic/1"
    assert lines[-1].endswith(
        f"tensorflow_model_server --rest_api_port=8501 --model_name=synthetic --model_base_path={folder}"
    )
    generator, config, _ = load_generator(workdir, "1")
    image = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
    seed = tf.constant([[config.seed, 0]])
    expected = generator([tf.constant(image), seed], training=False).numpy()
    answer = Servable(folder / "1")("float32", {"input_image": image})["generated_image"]
    np.testing.assert_allclose(answer, expected, atol=1e-5)


@pytest.mark.slow
def test_the_command_takes_noise_limits_and_versions_and_writes_a_card(workdir, tmp_path, capsys):
    folder = tmp_path / "saved models"
    (folder / "mine" / "1").mkdir(parents=True)
    (folder / "mine" / "1" / "saved_model.pb").touch()  # an older version, as far as exports look at it
    noon_sec = datetime(2020, 2, 29, 12, tzinfo=timezone.utc).timestamp()
    os.utime(workdir / "checkpoints" / "step-00000002" / "checkpoint.json", (noon_sec, noon_sec))
    flags = ["--serving_noise=off", "--max_pixels=1024", "--keep_versions=1", "--name=mine"]
    main(["export", f"--workdir={workdir}", f"--output={folder}", *flags])
    assert [path.name for path in (folder / "mine").iterdir()] == ["2"]
    score, serve = (shlex.split(line) for line in capsys.readouterr().out.splitlines()[-2:])
    # The pictures of generated facades are no files that translate could take.
    assert score[2:] == ["-m", "tfpix2pix.evaluate", f"--model={folder / 'mine'}"]
    assert serve[-1] == f"--model_base_path={folder / 'mine'}"
    card = json.loads((folder / "mine" / "2" / "model_card.json").read_text())
    assert (card["dataset"], card["step"], card["noise"]["policy"]) == ("synthetic", 2, "off")
    assert card["date"] == "2020-02-29"
    assert card["input"]["max_pixels"] == 1024
    assert card["config"]["depth"] == 3 and card["config"]["seed"] == 5
    assert "data_dir" not in card["config"] and card["recipe"] is None
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 1024 px"):
        Servable(folder / "mine" / "2")("uint8", {"input_image": np.zeros((1, 32, 33, 3), np.uint8)})


def test_help_answers_without_tensorflow(tmp_path):
    process = run_command("--help", cwd=tmp_path)
    assert process.returncode == 0 and "--checkpoint" in process.stdout
    program = "import sys, tfpix2pix.export; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
    "arguments, reason",
    [
        ([], "expected --workdir=RUN"),
        (["--workdir=nowhere"], "nowhere holds no run"),
        (["--workdir={workdir}", "--checkpoint=7"], "no checkpoint 7.*one of 1, 2"),
        (["--workdir={workdir}", "--name=a/b"], "--name is a name, not a path.*a/b"),
        (["--workdir={workdir}", "extra"], "expected --workdir=RUN"),
        (["--workdir={workdir}", "--max_pixels=1023"], "`max_pixels` must be at least 1024.*32x32"),
        (["--workdir={workdir}", "--keep_versions=0"], "keep_versions"),
        (["--workdir={workdir}", "--serving_noise=loud"], "serving_noise"),
        (["--wrong"], "wrong"),
    ],
)
def test_a_wrong_call_names_what_is_wrong_and_writes_nothing(workdir, tmp_path, arguments, reason):
    arguments = [argument.format(workdir=workdir) for argument in arguments]
    with pytest.raises(UsageError, match=reason):
        main(["export", f"--output={tmp_path / 'out'}", *arguments])
    assert list(tmp_path.iterdir()) == []
