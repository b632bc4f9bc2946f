"""Scores a trained run or an exported SavedModel on a split.

    python -m tfpix2pix.evaluate --model=runs/facades
    python -m tfpix2pix.evaluate --model=saved_models/facades --metrics=l1,ssim

A SavedModel is scored on what its model_card.json says that it was trained on; one
without a card takes --dataset, --direction and --image_size. Every example counts
once. The results are written to --output: a file for each metric, and index.html with
the scores and the pictures, worst or best first. Results of other metrics that are
already there stay if they are of the same model, data and noise; else they are
removed. The same command gives the same numbers.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from tfpix2pix.config.choices import INFERENCE_STATISTICS, METRICS, WEIGHTS, WEIGHTS_HELP
from tfpix2pix.evaluate.statistics import check_statistics
from tfpix2pix.export.versions import fetch_model, find_version
from tfpix2pix.metrics import registry
from tfpix2pix.metrics.fcn.config import check_segmenter
from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.places import name_urls
from tfpix2pix.run.weights import takes_average

if TYPE_CHECKING:
    from tfpix2pix.metrics.registry import Result


_IMAGE_SIZE_HELP = (
    "Resize pairs to this size in px, given as N or HxW. Default: as in training; pairs of a run of "
    "--resize=none keep their size then, and are translated in overlapping windows."
)


def main(argv: Sequence[str]) -> None:
    """Parses flags, evaluates, prints the scores."""
    values = _parse(argv)
    values["model"] = fetch_model(values["model"], values["checkpoint"])
    find_version(Path(values["model"]))  # fails where there is no model, sooner than TensorFlow starts
    check_statistics(Path(values["model"]), values["inference_statistics"])
    if values["weights"]:
        takes_average(values["model"], values["weights"])
    if values["segmenter"]:
        check_segmenter(values["segmenter"])
    command_line.import_tensorflow()
    from tfpix2pix.evaluate.evaluation import evaluate_model

    evaluation = evaluate_model(**values)
    print(_table(evaluation.results))
    print(name_urls(f"report: {evaluation.page}"))


def _parse(argv: Sequence[str]) -> dict[str, Any]:
    """Returns the arguments of `evaluate_model`, each of which is a flag of its name."""
    flag_values = command_line.new_flags()
    _define_texts(flag_values)
    _define_weights(flag_values)
    _define_choices(flag_values)
    _define_numbers(flag_values)
    _define_statistics(flag_values)
    remote = ("model", "output", "data_dir")
    arguments = command_line.parse_flags(flag_values, __doc__ or "", argv, takes_remote=remote)
    command_line.refuse_arguments(arguments)
    values = flag_values.flag_values_dict()
    values.pop("help")
    if not values["model"]:
        raise UsageError("--model is missing (--help lists the flags)")
    registry.check_names(values["metrics"] or ())
    return values


def _define_texts(flag_values: flags.FlagValues) -> None:
    for name, text in (
        (
            "model",
            "Score the model in this folder: a run, a SavedModel, of which the newest version is taken, or "
            "one version of a SavedModel.",
        ),
        ("checkpoint", "Take this checkpoint of a run: latest, best or a step. Default: latest."),
        (
            "output",
            "Write the results to this folder. Default: eval/ in the run, and eval/NAME for a SavedModel.",
        ),
        (
            "dataset",
            "Score on this dataset: a name in the catalogue, or the name of your own set. Default: as in "
            "training.",
        ),
        (
            "data_dir",
            "Look for the dataset in this folder. It holds <dataset>/train, val and test, or these splits "
            "themselves. Default: the run's folder of data, or datasets.",
        ),
        ("image_size", _IMAGE_SIZE_HELP),
        (
            "segmenter",
            "Compute fcn_score with this segmentation network: a .keras file, or a run of "
            "python -m tfpix2pix.metrics.fcn.",
        ),
        (
            "palette",
            "Find these classes in label maps: those of a dataset, by its name, or of a JSON file. "
            "Default: those of --dataset.",
        ),
    ):
        flags.DEFINE_string(name, None, text, flag_values=flag_values)


def _define_weights(flag_values: flags.FlagValues) -> None:
    for name, text in (
        (
            "inception_weights",
            "Compute fid and kid with the weights in this file, of Keras's InceptionV3 without its top.",
        ),
        (
            "lpips_weights",
            "Compute lpips and lpips_diversity with the weights in this file, of torchvision's AlexNet "
            "(alexnet-owt-7be5be79.pth). Needs pip install 'tfpix2pix[metrics]'.",
        ),
        (
            "fid_torch_weights",
            "Compute fid_torch and kid_torch, which can be compared with published scores, with the weights "
            "in this file, of torch-fidelity's InceptionV3 (weights-inception-2015-12-05-6726825d.pth). "
            "Needs pip install 'tfpix2pix[metrics]'.",
        ),
    ):
        flags.DEFINE_string(name, None, text, flag_values=flag_values)


def _define_choices(flag_values: flags.FlagValues) -> None:
    names = ", ".join(METRICS)
    text = f"Compute these metrics, a comma between them: {names}. Default: all that apply."
    flags.DEFINE_list("metrics", None, text, flag_values=flag_values)
    for name, default, choices, text in (
        (
            "direction",
            None,
            catalogue.DIRECTIONS,
            "Translate left images to right images (AtoB), or right ones to left ones (BtoA). Default: "
            "as in training.",
        ),
        ("split", "val", catalogue.SPLITS, "Score this split of the dataset."),
        (
            "absent_classes",
            "skip",
            registry.ABSENT_CLASSES,
            "Leave classes that the ground truth lacks out of means over classes, or count them as 0.",
        ),
        ("weights", None, WEIGHTS, WEIGHTS_HELP),
    ):
        flags.DEFINE_enum(name, default, choices, text, flag_values=flag_values)


def _define_numbers(flag_values: flags.FlagValues) -> None:
    for name, number, least, text in (
        (
            "samples_per_image",
            4,
            1,
            "Take this many outputs of each input for diversity, coverage and latent_error.",
        ),
        (
            "noise_seed",
            None,
            0,
            "Draw the noise from this seed. Default: the run's seed, with which the scores are those of its "
            "validation.",
        ),
        (
            "gallery_size",
            200,
            0,
            "Show at most this many examples on the page. The scores are always those of all examples.",
        ),
    ):
        flags.DEFINE_integer(name, number, text, least, flag_values=flag_values)


def _define_statistics(flag_values: flags.FlagValues) -> None:
    text = (
        "Normalise by the statistics of each image (instance), as translate and a SavedModel always do, so "
        "that no output depends on the images beside it; or by those of batches of the run's --batch_size "
        "(batch), as the paper's code does, to reproduce scores of networks that were trained in batches."
    )
    name, choices = "inference_statistics", INFERENCE_STATISTICS
    flags.DEFINE_enum(name, choices[0], choices, text, flag_values=flag_values)


def _table(results: Mapping[str, "Result"]) -> str:
    columns = {"generated": "scores", "mean target": "baseline", "ground truth": "ground_truth"}
    told = {
        title: {name: getattr(result, kind) for name, result in results.items()}
        for title, kind in columns.items()
    }
    told = {title: column for title, column in told.items() if any(column.values())}
    lines = [f"{'metric':24s}{'score':20s}{''.join(f'{title:>14s}' for title in told)}"]
    for name, result in results.items():
        for place, score in enumerate(result.scores):
            values = [column[name].get(score) for column in told.values()]
            cells = "".join(" " * 14 if value is None else f"{value:14.4f}" for value in values)
            lines.append(f"{name if place == 0 else '':24s}{score:20s}{cells}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    command_line.run(main)
