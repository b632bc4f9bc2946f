"""Trains on generated facades, scores, shows and exports, in a few minutes and offline.

    python -m tfpix2pix.quickstart

The scores stand beside those of two trivial baselines: the mean training photo, and
the input itself. The same command again finds that everything is done.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UserError

# As large and as long as fits well into six minutes on two CPU cores.
STEPS = 2000
SETTINGS = {
    "dataset": "synthetic",
    "image_size": 128,
    "base_filters": 32,
    "checkpoint_every_steps": 500,
    "validate_every_steps": 500,
    "sample_every_steps": 500,
    "summary_every_steps": 100,
}
SHOWN_EXAMPLES = 6


def main(argv: Sequence[str]) -> int:
    """Trains, compares with the baselines, writes the contact sheet, says what to do next."""
    flag_values = command_line.new_flags()
    flags.DEFINE_string("workdir", "runs/quickstart", "folder of the run", flag_values=flag_values)
    flags.DEFINE_string(
        "saved_model_dir", "saved_models", "folder of the SavedModels", flag_values=flag_values
    )
    flags.DEFINE_integer("steps", STEPS, "steps to train", flag_values=flag_values)
    command_line.refuse_arguments(command_line.parse_flags(flag_values, __doc__, argv))
    workdir = Path(str(flag_values["workdir"].value))
    command_line.import_tensorflow()
    from tfpix2pix.config.config import make_config
    from tfpix2pix.train.training import train_and_evaluate

    own = {name: flag_values[name].value for name in ("saved_model_dir", "steps")}
    config = make_config(**{**SETTINGS, **own})
    print(f"Training pix2pix on generated facades, {config.steps} steps of 128x128 px.", flush=True)
    result = train_and_evaluate(config, workdir)
    scores = _score(result.generator, config)
    print(_table(scores))
    sheet_path = workdir / "contact_sheet.png"
    _write_contact_sheet(result.generator, config, sheet_path)
    print(_next_steps(workdir, sheet_path, result.saved_model))
    best_baseline = min(scores[name]["l1"] for name in ("mean training photo", "input itself"))
    if scores["pix2pix"]["l1"] >= best_baseline:
        raise UserError(
            f"the generator's L1 ({scores['pix2pix']['l1']:.4f}) does not beat the best baseline "
            f"({best_baseline:.4f}) after {result.step} steps"
        )
    return 0


def _score(generator, config) -> dict[str, dict[str, float]]:
    """Scores the generator and the baselines on the validation split."""
    import tensorflow as tf

    from tfpix2pix.pipelines.batches import build_dataset
    from tfpix2pix.run import splits
    from tfpix2pix.train.validation import compute_validation_scores

    training = build_dataset(
        splits.open_split(config, "train"), image_size=config.image_size, batch_size=1, training=False
    )
    total, count = 0.0, 0
    for batch in training:
        total, count = total + batch["target_image"][0], count + 1
    mean_photo = total / count
    val_source = splits.open_split(config, "val")

    def score(translate):
        return compute_validation_scores(translate, val_source, config.image_size, config.seed)

    return {
        "pix2pix": score(generator),
        "mean training photo": score(lambda inputs, training: tf.zeros_like(inputs[0]) + mean_photo),
        "input itself": score(lambda inputs, training: inputs[0]),
    }


def _table(scores: dict[str, dict[str, float]]) -> str:
    lines = ["", f"{'validation split':22s}{'L1 (lower)':>12s}{'PSNR, dB':>12s}{'SSIM':>12s}"]
    for name, row in scores.items():
        lines.append(f"{name:22s}{row['l1']:12.4f}{row['psnr']:12.2f}{row['ssim']:12.4f}")
    return "\n".join(lines)


def _write_contact_sheet(generator, config, path: Path) -> None:
    from tfpix2pix.pictures.examples import show_examples
    from tfpix2pix.pictures.sheets import contact_sheet, write_png
    from tfpix2pix.pipelines.batches import build_dataset
    from tfpix2pix.run import splits

    dataset = build_dataset(
        splits.open_split(config, "val"),
        image_size=config.image_size,
        batch_size=SHOWN_EXAMPLES,
        training=False,
        seed=config.seed,
    )
    batch = next(iter(dataset))
    generated_image = generator([batch["input_image"], batch["noise_seed"]], training=False)
    write_png(path, contact_sheet(show_examples(splits.make_task(config), batch, generated_image)))


def _next_steps(workdir: Path, sheet_path: Path, saved_model: Path | None) -> str:
    folder = shlex.quote(str(workdir))
    return f"""
Pictures (input, generated, target): {sheet_path}
SavedModel for TF Serving:           {saved_model}

Next:
  tensorboard --logdir={folder}
  python -m tfpix2pix.train --dataset=facades          the paper's main experiment (downloads 30 MB)
  python -m tfpix2pix.train --dataset=NAME --data_dir=FOLDER    your own pairs
  python -m tfpix2pix.translate --model={folder} --input=IMAGES --output=OUT"""


if __name__ == "__main__":
    command_line.run(main)
