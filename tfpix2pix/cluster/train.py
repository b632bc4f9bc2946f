r"""Trains on several machines that Ray joins, and starts all workers again when one is lost.

    python -m tfpix2pix.cluster.train --num_workers=4 --gpus_per_worker=8 --ray_address=auto -- \
        --dataset=facades --data_dir=/shared/data --workdir=/shared/runs/facades

What follows the two dashes are the flags of `python -m tfpix2pix.train`; with several
workers --strategy=multiworker is added. Ray places the workers, tells them of each other,
and after a failure starts all of them again, from the last checkpoint, at most
--max_failures times. All machines must see the run and the data under the same paths,
and have the package installed. Without --ray_address, Ray runs on this machine for the
time of the command.

Ctrl-C or SIGTERM stops all workers at one step, after the chief has saved, with status
130 or 143; the same command goes on, also with another number of workers. Needs
pip install 'tfpix2pix[cluster]'.
"""

import dataclasses
from collections.abc import Sequence

from absl import flags

from tfpix2pix.cluster.gang import Gang, train_on_ray
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError


def main(argv: Sequence[str]) -> None:
    """Parses flags, trains, and prints what the chief prints."""
    own, arguments = list(argv), list[str]()
    if "--" in own:
        place = own.index("--")
        own, arguments = own[:place], own[place + 1 :]
    flag_values = _define_flags()
    command_line.refuse_arguments(
        command_line.parse_flags(flag_values, __doc__ or "", own, takes_urls=("ray_address",))
    )
    if not arguments:
        raise UsageError("the flags of train are missing; they follow --, such as -- --dataset=facades")
    values = flag_values.flag_values_dict()
    gang = Gang(**{field.name: values[field.name] for field in dataclasses.fields(Gang)})
    train_on_ray(gang, arguments)


def _define_flags() -> flags.FlagValues:
    flag_values = command_line.new_flags()
    for name, least, text in (
        ("num_workers", 1, "Train with this many workers, whose share of --batch_size is the same."),
        ("cpus_per_worker", 1, "Let Ray set aside this many processors for each worker."),
        ("gpus_per_worker", 0, "Let Ray give each worker this many GPUs."),
        (
            "max_failures",
            -1,
            "Start all workers again this many times after one was lost or has failed; -1 for without end.",
        ),
    ):
        flags.DEFINE_integer(name, getattr(Gang, name), text, least, flag_values=flag_values)
    text = (
        "Use the cluster whose head is at this host:port, or with auto the one that this machine belongs to. "
        "Default: Ray on this machine, for the time of the command."
    )
    flags.DEFINE_string("ray_address", None, text, flag_values=flag_values)
    return flag_values


if __name__ == "__main__":
    command_line.run(main)
