import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import runs
from tfpix2pix import quickstart
from tfpix2pix.config.config import make_config
from tfpix2pix.run.folder import write_config


def test_two_steps_of_the_quickstart(tmp_path):
    command = [sys.executable, "-m", "tfpix2pix.quickstart", "--steps=2", "--workdir=a run"]
    process = runs.call([*command, "--saved_model_dir=saved"], cwd=tmp_path)
    # Two steps beat nothing; that is a failure, after everything has been shown.
    assert process.returncode == 1
    assert "does not beat the best baseline" in runs.last_line(process)
    assert runs.last_line(process).endswith("after 2 steps")
    for row in ("pix2pix", "mean training photo", "input itself"):
        assert any(line.startswith(row) and len(line.split()) >= 4 for line in process.stdout.splitlines())
    commands = [line for line in process.stdout.splitlines() if line.startswith("  ")]
    assert [line.strip() for line in commands][-4:] == [
        "tensorboard --logdir='a run/tensorboard'",
        "python -m tfpix2pix.train --data_dir=FOLDER --workdir=runs/mine",
        "python -m tfpix2pix.evaluate --model=runs/mine",
        "python -m tfpix2pix.translate --model=runs/mine --input=IMAGES --output=OUT",
    ]
    with runs.Image.open(tmp_path / "a run" / "contact_sheet.png") as sheet:
        assert sheet.size == (4 * 132 + 4, 20 + 6 * 132 + 4)
        pixels = np.asarray(sheet)
    columns = [pixels[20:, 4 + 132 * place :][:, :128] for place in range(4)]
    photos = [columns[1][4 + 132 * place :][:128] for place in range(6)]
    assert all((photo == photos[0]).all() for photo in photos), "the mean photo is the same in all rows"
    assert not any((columns[place] == columns[1]).all() for place in (0, 2, 3))
    assert (tmp_path / "saved" / "synthetic" / "1" / "saved_model.pb").is_file()
    assert (tmp_path / "a run" / "checkpoints" / "step-00000002" / "checkpoint.json").is_file()


def test_the_quickstart_of_an_earlier_version_stays_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    settings = {**quickstart.SETTINGS, "steps": 1500}
    config = make_config(**settings)
    assert quickstart._choose_workdir(config) == Path("runs/quickstart")
    write_config(Path("runs/quickstart"), config, None)
    assert quickstart._choose_workdir(config) == Path("runs/quickstart")
    assert capsys.readouterr().err == ""
    other = make_config(**{**settings, "steps": 2000})
    assert quickstart._choose_workdir(other) == Path("runs/quickstart_2")
    told = capsys.readouterr().err
    assert "runs/quickstart holds a run with other settings: " in told and "was 1500, is 2000" in told
    assert "This quickstart is therefore written to runs/quickstart_2" in told
    write_config(Path("runs/quickstart_2"), other, None)
    assert quickstart._choose_workdir(other) == Path("runs/quickstart_2")
    file = Path("runs/quickstart/config.json")
    file.write_text(file.read_text().replace('"seed"', '"forgotten"'))  # a setting of another version
    assert quickstart._choose_workdir(config) == Path("runs/quickstart_3")
    assert "is a run of another kind or version" in capsys.readouterr().err


@pytest.mark.parametrize(
    "folder, shown", [("my env", ". 'my env/bin/activate'"), (".venv", ". .venv/bin/activate")]
)
def test_the_next_commands_begin_with_an_environment_that_is_not_active(tmp_path, folder, shown):
    venv.create(tmp_path / folder, system_site_packages=True, symlinks=True)
    python = tmp_path / folder / "bin" / "python"
    site = os.pathsep.join(path for path in sys.path if "site-packages" in path)
    own = runs.environment(PYTHONPATH=f"{runs.ROOT}{os.pathsep}{site}")
    own.pop("VIRTUAL_ENV", None)
    code = "from tfpix2pix import quickstart; print(quickstart._activation().strip())"

    def ask(**variables):
        process = runs.run([python, "-c", code], cwd=tmp_path, env={**own, **variables})
        assert process.returncode == 0, process.stderr
        return process.stdout.strip()

    assert ask() == shown
    assert ask(VIRTUAL_ENV=str(tmp_path)) == shown
    assert ask(VIRTUAL_ENV=str(tmp_path / folder)) == ""
    script = f"{shown}\npython -c 'import sys; print(sys.prefix)'"
    told = subprocess.run(["sh", "-c", script], cwd=tmp_path, env=own, capture_output=True, text=True)
    assert told.stdout.strip() == str(tmp_path / folder), told.stderr
