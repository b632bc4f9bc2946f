"""Scores a trained run or an exported SavedModel on a split.

    python -m tfpix2pix.evaluate --model=runs/facades
    python -m tfpix2pix.evaluate --model=saved_models/facades --metrics=l1,ssim

A SavedModel is scored as its model_card.json says that it was trained; one without
takes --dataset, --direction and --image_size. Every example counts once. The results
go to --output: a file per metric, and index.html with the scores and the pictures,
worst first or best first. Results of other metrics that are there already stay if they
are of the same model, data and noise; else they are removed. The same command gives
the same numbers.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from absl import flags

from tfpix2pix.metrics import registry
from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError

if TYPE_CHECKING:
    from tfpix2pix.metrics.registry import Result


def main(argv: Sequence[str]) -> None:
    """Parses flags, evaluates, prints the scores."""
    flag_values = _define_flags()
    command_line.refuse_arguments(command_line.parse_flags(flag_values, __doc__ or "", argv))
    values = flag_values.flag_values_dict()
    values.pop("help")
    if not values["model"]:
        raise UsageError("--model is missing (--help lists the flags)")
    registry.check_names(values["metrics"] or ())

    command_line.import_tensorflow()
    from tfpix2pix.evaluate.evaluation import evaluate_model
    from tfpix2pix.evaluate.gallery import PAGE

    evaluation = evaluate_model(**values)
    print(_table(evaluation.results))
    print(f"report: {evaluation.folder / PAGE}")


def _define_flags() -> flags.FlagValues:
    flag_values = command_line.new_flags()
    for name, text in (
        ("model", "folder of a run, of a SavedModel (the newest version), or of one version"),
        ("checkpoint", "of a run: latest, best or a step (default latest)"),
        ("output", "folder for the results (default: eval/ in the run; eval/NAME for a SavedModel)"),
        ("dataset", "name in the catalogue, or of your own set (default: as in training)"),
        (
            "data_dir",
            "folder that holds <dataset>/train|val|test, or the splits (default: the run's, or datasets)",
        ),
        ("image_size", "N or HxW, px, that pairs are resized to (default: as in training)"),
        ("segmenter", "for fcn_score: a .keras file, or the folder of python -m tfpix2pix.metrics.fcn"),
        ("palette", "classes of the label maps: a dataset's name, or a JSON file (default: the dataset's)"),
        ("inception_weights", "for fid and kid: file of Keras's InceptionV3 without its top"),
    ):
        flags.DEFINE_string(name, None, text, flag_values=flag_values)
    names = ", ".join(registry.NAMES)
    flags.DEFINE_list("metrics", None, f"of {names} (default: those that apply)", flag_values=flag_values)
    for name, default, choices, text in (
        ("direction", None, ("AtoB", "BtoA"), "left image to right image, or back (default: as in training)"),
        ("split", "val", catalogue.SPLITS, "which part of the dataset"),
        ("absent_classes", "skip", registry.ABSENT_CLASSES, "in means over classes, those not in the truth"),
    ):
        flags.DEFINE_enum(name, default, choices, text, flag_values=flag_values)
    for name, number, least, text in (
        ("samples_per_image", 4, 1, "outputs of each input that diversity compares"),
        (
            "noise_seed",
            None,
            0,
            "of the noise (default: the run's seed, so scores are those of its validation)",
        ),
        ("gallery_size", 200, 0, "most examples that the page shows; scores are always of all"),
    ):
        flags.DEFINE_integer(name, number, text, least, flag_values=flag_values)
    return flag_values


def _table(results: Mapping[str, "Result"]) -> str:
    lines = [f"{'metric':24s}{'score':20s}{'generated':>11s}{'ground truth':>14s}"]
    for name, result in results.items():
        for score, value in result.scores.items():
            ceiling = f"{result.ground_truth[score]:14.4f}" if score in result.ground_truth else ""
            lines.append(f"{name:24s}{score:20s}{value:11.4f}{ceiling}".rstrip())
            name = ""
    return "\n".join(lines)


if __name__ == "__main__":
    command_line.run(main)
