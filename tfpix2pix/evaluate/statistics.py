"""Whose statistics the scored network normalises by. TensorFlow is not imported."""

from pathlib import Path

from tfpix2pix.config.choices import INFERENCE_STATISTICS
from tfpix2pix.config.config import Config
from tfpix2pix.export.versions import find_version
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.run.folder import read_config

INSTANCE, BATCH = INFERENCE_STATISTICS


def check_statistics(model: Path, inference_statistics: str) -> None:
    """Raises UsageError for statistics that there are not, or that a model cannot be scored by."""
    if inference_statistics not in INFERENCE_STATISTICS:
        choices = ", ".join(INFERENCE_STATISTICS)
        raise UsageError(f"`inference_statistics` must be one of {choices}. Received: {inference_statistics}")
    if inference_statistics == INSTANCE:
        return
    reason = ""
    if find_version(model):
        reason = f"{model} is a SavedModel, which normalises each image by its own statistics; give its run"
    else:
        config = read_config(model)
        if config.normalization != "batch":
            reason = f"{model} was trained with `normalization={config.normalization}`, which has no batches"
        elif not config.resizes:
            reason = f"{model} was trained with `resize=none`, so that its images have sizes of their own"
    if reason:
        raise UsageError(f"`inference_statistics={inference_statistics}` cannot be used: {reason}")


def tell_of_batches(config: Config | None, inference_statistics: str) -> str:
    """Returns a sentence for people where a network was trained with other statistics, else nothing."""
    if config is None or config.batch_size == 1 or config.normalization != "batch":
        return ""
    if inference_statistics == BATCH:
        return ""
    return (
        f"the network was trained with the statistics of batches of {config.batch_size}, and is scored with "
        "those of each image, as it translates; `inference_statistics=batch` scores a run as it was trained"
    )
