import sys

from tests.helpers import runs


def test_two_steps_of_the_quickstart(tmp_path):
    command = [sys.executable, "-m", "tfpix2pix.quickstart", "--steps=2", "--workdir=a run"]
    process = runs.run([*command, "--saved_model_dir=saved"], cwd=tmp_path)
    # Two steps beat nothing; that is a failure, after everything has been shown.
    assert process.returncode == 1
    assert "does not beat the best baseline" in runs.last_line(process)
    assert runs.last_line(process).endswith("after 2 steps")
    for row in ("pix2pix", "mean training photo", "input itself"):
        assert any(line.startswith(row) and len(line.split()) >= 4 for line in process.stdout.splitlines())
    assert "\nNext:\n  tensorboard --logdir='a run'\n" in process.stdout
    assert "translate --model='a run' --input" in process.stdout
    with runs.Image.open(tmp_path / "a run" / "contact_sheet.png") as sheet:
        assert sheet.size == (3 * 132 + 4, 6 * 132 + 4)
    assert (tmp_path / "saved" / "synthetic" / "1" / "saved_model.pb").is_file()
    assert (tmp_path / "a run" / "checkpoints" / "step-00000002" / "checkpoint.json").is_file()
