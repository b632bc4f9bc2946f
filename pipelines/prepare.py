r"""Puts a dataset in place: downloads it, or takes a local archive, then checks and unpacks it.

  python -m tfpix2pix.pipelines.prepare --dataset=facades
  python -m tfpix2pix.pipelines.prepare --dataset=my_set --archive=my_set.zip
  python -m tfpix2pix.pipelines.prepare --dataset=cityscapes \
      --archive=leftImg8bit_trainvaltest.zip,gtFine_trainvaltest.zip
  python -m tfpix2pix.pipelines.prepare --combine INPUT_DIR TARGET_DIR --output=datasets/my_set \
      --val_percent=10
  python -m tfpix2pix.pipelines.prepare --dataset=facades --shards=facades_shards
  python -m tfpix2pix.pipelines.prepare --pairs=list.csv --shards=my_shards

The dataset appears as <data_dir>/<dataset> when it is complete, and not before. A download
that was cut short goes on where it ended. Its size and SHA-256 are kept: another file is refused
later, and --sha256 names the one that is expected. If the dataset is in place already, the command
does nothing.

With --combine it joins two folders of images into side-by-side PNG files. The two images of
a pair have the same name in both folders, or names such as 0_A and 0_B. Instead of images, the two
folders may hold folders train, val and test of them; if they do not, --val_percent writes train and
val. Where other images lie beside these, it names them and writes nothing.

With --shards it packs the files of a dataset, byte for byte, into a few large TFRecord files and
a manifest. Training, evaluation and all else that takes --data_dir reads the new folder as it
reads the files: the same pairs in the same order, with the same pixels.
"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from tfpix2pix.pipelines.base.command_line import import_tensorflow, new_flags, parse_flags, run
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.listing import count_of
from tfpix2pix.pipelines.base.paths import settle_path
from tfpix2pix.pipelines.catalogue import CATALOGUE, ON_BAD_IMAGE, find_dataset, name_folder
from tfpix2pix.pipelines.placing.dataset_folder import find_dataset_folder, prepare_dataset
from tfpix2pix.pipelines.placing.remote_datasets import fetch_list

_EXPECTED_SHARDS = (
    "expected --shards=DIR with --data_dir=DIR, --dataset=NAME or --pairs=FILE.csv (--help shows more)"
)


def main(argv: Sequence[str]) -> None:
    """Parses the flags, then prepares a dataset or joins two folders."""
    flag_values = _define_flags()
    arguments = parse_flags(flag_values, __doc__ or "", argv, takes_remote=("data_dir", "pairs"))
    values = flag_values.flag_values_dict()
    if values["shards"]:
        if arguments or any(values[name] for name in ("combine", "archive", "output", "val_percent")):
            raise UsageError(_EXPECTED_SHARDS)
        _pack(values)
    elif values["pairs"] or values["photos"]:
        raise UsageError(_EXPECTED_SHARDS)
    elif values["combine"]:
        needless = [values[name] for name in ("dataset", "archive", "sha256")]
        if len(arguments) != 2 or not values["output"] or any(needless):
            raise UsageError("expected --combine INPUT_DIR TARGET_DIR --output=DIR")
        inputs, targets = (Path(settle_path(folder, "combine")) for folder in arguments)
        output, val_percent = Path(values["output"]), values["val_percent"] or 0
        _combine(inputs, targets, output, val_percent, values["on_bad_image"])
    elif values["val_percent"]:
        raise UsageError("--val_percent is for --combine; training takes it too")
    elif values["on_bad_image"] != ON_BAD_IMAGE[0]:
        raise UsageError("--on_bad_image is for --combine and --shards; training takes it too")
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
        ("shards", None, "Pack the dataset into record shards in this new folder."),
        ("pairs", None, "Let --shards pack the pairs that this CSV file lists, in place of a folder."),
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
    flags.DEFINE_bool(
        "photos",
        False,
        "Let --shards pack single photos, for a task that learns from photos.",
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "on_bad_image",
        "stop",
        ON_BAD_IMAGE,
        "What --shards does with files whose headers cannot be read, and --combine with pairs that cannot be "
        "joined: stop, or skip them.",
        flag_values=flag_values,
    )
    flags.DEFINE_bool("combine", False, "Join INPUT_DIR and TARGET_DIR into pairs.", flag_values=flag_values)
    return flag_values


def _combine(inputs: Path, targets: Path, output_folder: Path, val_percent: int, on_bad_image: str) -> None:
    import_tensorflow()
    import tensorflow as tf

    from tfpix2pix.pipelines.placing.combine import combine_folders

    # Only files are read and written, so the GPUs are left to those who train on them.
    tf.config.set_visible_devices([], "GPU")
    num_pairs = combine_folders(inputs, targets, output_folder, val_percent, on_bad_image)
    command = _how_to_train(output_folder)
    held = count_of(num_pairs, "pair is", "pairs are")
    print(f"{held} in {output_folder}, input on the left. Train on them: {command}")


def _pack(values: Mapping[str, Any]) -> None:
    """Packs a dataset that is in place, or is downloaded first, or the pairs of a list."""
    data_dir, target = Path(values["data_dir"]), Path(values["shards"])
    name = values["dataset"] or ("" if values["pairs"] else name_folder(data_dir))
    if name and values["pairs"]:
        raise UsageError(_EXPECTED_SHARDS)
    if values["pairs"]:
        source = fetch_list(values["pairs"])
    else:
        spec = find_dataset(name)
        if spec.draw_pair:
            raise UsageError(f"`dataset={name}` is generated while training: there are no files to pack")
        source = find_dataset_folder(name, data_dir) or prepare_dataset(
            spec, data_dir, sha256=values["sha256"]
        )
    import_tensorflow()
    import tensorflow as tf

    from tfpix2pix.pipelines.placing.pack import pack_shards

    # Only files are read and written, so the GPUs are left to those who train on them.
    tf.config.set_visible_devices([], "GPU")
    counts = pack_shards(source, target, photos=values["photos"], on_bad_image=values["on_bad_image"])
    told = ", ".join(f"{count} of {split}" for split, count in counts.items())
    what = "photos" if values["photos"] else "pairs"
    more = "" if name in CATALOGUE or values["photos"] else " --direction=AtoB"
    place = (f"--dataset={name} " if name in CATALOGUE else "") + f"--data_dir={shlex.quote(str(target))}"
    command = f"python -m tfpix2pix.train {place}{more}"
    print(f"{target} holds {told} ({what}). Train on them: {command}")


def _how_to_train(folder: Path) -> str:
    # A name of the catalogue would stand for another dataset, so the folder is named and not the dataset.
    return f"python -m tfpix2pix.train --data_dir={shlex.quote(str(folder))} --direction=AtoB"


if __name__ == "__main__":
    run(main)
