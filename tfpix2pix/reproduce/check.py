"""Checks that the rows of a table can be scored, which reproduce does before it trains them.

    python -m tfpix2pix.reproduce.check --metric=fcn_score --dataset=camvid --segmenter=FILE

It opens the split, the classes and the segmentation network as the scoring will. Being a
process of its own, it leaves all memory to the trainings.
"""

from collections.abc import Sequence

from absl import flags

from tfpix2pix.config import config as configs
from tfpix2pix.config.choices import METRICS
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.catalogue import SPLITS


def main(argv: Sequence[str]) -> None:
    """Parses flags; raises an error that names what cannot be scored."""
    flag_values = command_line.new_flags()
    configs.define_flags(flag_values)
    for name, default, choices, text in (
        ("metric", "fcn_score", METRICS, "Check that this metric can be computed."),
        ("split", "val", SPLITS, "Check this split of the dataset."),
    ):
        flags.DEFINE_enum(name, default, choices, text, flag_values=flag_values)
    text = "Find these classes in label maps, as for evaluate. Default: those of --dataset."
    flags.DEFINE_string("palette", None, text, flag_values=flag_values)
    values = command_line.read_flags(flag_values, __doc__ or "", argv)
    config = configs.config_from_flags(flag_values)
    command_line.import_tensorflow()
    from tfpix2pix.metrics import registry
    from tfpix2pix.metrics.fcn.segmenter import load_segmenter
    from tfpix2pix.metrics.label_maps import find_tools
    from tfpix2pix.run.splits import open_split

    network = load_segmenter(config.segmenter) if config.segmenter else None
    source = open_split(config, values["split"])
    tools = find_tools(source, config.dataset, config.data_dir, values["palette"], network)
    # A network that is still to be trained finds the classes of the label maps.
    if network or values["metric"] != "fcn_score":
        registry.build_metrics([values["metric"]], tools)


if __name__ == "__main__":
    command_line.run(main)
