"""The folder of event files, whose name is that of the run in TensorBoard."""

import tensorflow as tf

from tfpix2pix.run.summaries import log_folder


def _write_events(folder) -> None:
    with tf.summary.create_file_writer(str(folder)).as_default(step=1):
        tf.summary.scalar("training/l1_loss", 0.5)


def test_a_run_has_the_name_of_its_folder_and_keeps_it(tmp_path):
    run = tmp_path / "my [x] pairs"
    assert log_folder(run) == run / "tensorboard" / "my [x] pairs"
    _write_events(log_folder(run))
    renamed = run.rename(tmp_path / "renamed")
    assert log_folder(renamed) == renamed / "tensorboard" / "my [x] pairs"


def test_a_run_of_an_earlier_version_goes_on_in_its_folder(tmp_path):
    _write_events(tmp_path / "tensorboard")
    assert log_folder(tmp_path) == tmp_path / "tensorboard"
