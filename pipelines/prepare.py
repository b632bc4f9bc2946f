r"""Puts a dataset in place: downloads it, or takes a local archive, then checks and unpacks it.

  python -m tfpix2pix.pipelines.prepare --dataset=facades
  python -m tfpix2pix.pipelines.prepare --dataset=my_set --archive=my_set.zip
  python -m tfpix2pix.pipelines.prepare --dataset=cityscapes \
      --archive=leftImg8bit_trainvaltest.zip,gtFine_trainvaltest.zip
  python -m tfpix2pix.pipelines.prepare --combine INPUT_DIR TARGET_DIR --output=datasets/my_set \
      --val_percent=10

The dataset appears as <data_dir>/<dataset> when it is complete, and not before. A download
that was cut short goes on where it ended. Its size and SHA-256 are kept: another file is refused
later, and --sha256 names the one that is expected. If the dataset is in place already, the command
does nothing.

With --combine it joins two folders of images into side-by-side PNG files. The two images of
a pair have the same name in both folders. Instead of images, the two folders may hold
folders train, val and test of them; if they do not, --val_percent writes train and val.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tfpix2pix.pipelines.base.command_line import import_tensorflow, new_flags, parse_flags, run
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.paths import settle_path
from tfpix2pix.pipelines.catalogue import CATALOGUE, find_dataset, is_name
from tfpix2pix.pipelines.placing.dataset_folder import prepare_dataset


def main(argv: Sequence[str]) -> None:
    """Parses the flags, then prepares a dataset or joins two folders."""
    flag_values = _define_flags()
    arguments = parse_flags(flag_values, __doc__ or "", argv)
    values = flag_values.flag_values_dict()
    if values["combine"]:
        needless = [values[name] for name in ("dataset", "archive", "sha256")]
        if len(arguments) != 2 or not values["output"] or any(needless):
            raise UsageError("expected --combine INPUT_DIR TARGET_DIR --output=DIR")
        inputs, targets = (Path(settle_path(folder, "combine")) for folder in arguments)
        _combine(inputs, targets, Path(values["output"]), values["val_percent"] or 0)
    elif values["val_percent"]:
        raise UsageError("--val_percent is for --combine; training takes it too")
    elif arguments or values["output"] or not values["dataset"]:
        raise UsageError("expected --dataset=NAME, with --archive=FILE or not (--help shows more)")
    elif find_dataset(values["dataset"]).draw_pair:
        print(f"{values['dataset']} is generated while training: there is nothing to prepare")
    else:
        names = (values["archive"] or "").split(",")
        archives = [Path(settle_path(name, "archive")) for name in names if name]
        spec, data_dir = find_dataset(values["dataset"]), Path(values["data_dir"])
        prepare_dataset(spec, data_dir, *archives, sha256=values["sha256"])


def _define_flags() -> flags.FlagValues:
    flag_values = new_flags()
    for name, default, text in (
        ("dataset", None, f"Prepare this dataset: {', '.join(CATALOGUE)}, or a name of your own."),
        ("data_dir", "datasets", "Put <dataset>/train, val and test into this folder."),
        ("archive", None, "Take this tar or zip file, or several with commas between, and download nothing."),
        (
            "sha256",
            None,
            "The download, or the file of --archive, must have this SHA-256. Default: that of the first "
            "download.",
        ),
        ("output", None, "Let --combine make this folder."),
    ):
        flags.DEFINE_string(name, default, text, flag_values=flag_values)
    flags.DEFINE_integer(
        "val_percent",
        None,
        "Let --combine write this share of the pairs, in percent, to val and the others to train.",
        lower_bound=1,
        upper_bound=99,
        flag_values=flag_values,
    )
    flags.DEFINE_bool("combine", False, "Join INPUT_DIR and TARGET_DIR into pairs.", flag_values=flag_values)
    return flag_values


def _combine(input_folder: Path, target_folder: Path, output_folder: Path, val_percent: int) -> None:
    import_tensorflow()
    import tensorflow as tf

    from tfpix2pix.pipelines.placing.combine import combine_folders

    # Only files are read and written, so the GPUs are left to those who train on them.
    tf.config.set_visible_devices([], "GPU")
    num_pairs = combine_folders(input_folder, target_folder, output_folder, val_percent)
    command = _how_to_train(output_folder)
    held = count_of(num_pairs, "pair is", "pairs are")
    print(f"{held} in {output_folder}, input on the left. Train on them: {command}")


def _how_to_train(folder: Path) -> str:
    name, data_dir = (folder.name, folder.parent) if is_name(folder.name) else ("my_set", folder)
    place = f"--dataset={name} --data_dir={shlex.quote(str(data_dir))}"
    return f"python -m tfpix2pix.train {place} --direction=AtoB"


if __name__ == "__main__":
    run(main)
