"""Scores a model on a split: every example once, all metrics in one pass, results in files."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

import tfpix2pix
from tfpix2pix.config.choices import HD_GENERATORS
from tfpix2pix.config.config import Config, make_config
from tfpix2pix.evaluate.gallery import Gallery
from tfpix2pix.evaluate.results import WEIGHTS, Evaluation, sift_earlier, write_results
from tfpix2pix.evaluate.statistics import BATCH, check_statistics, tell_of_batches
from tfpix2pix.export.names import CARD_FILE
from tfpix2pix.export.versions import fetch_model, model_folder
from tfpix2pix.metrics import registry
from tfpix2pix.metrics.baseline import add_baseline
from tfpix2pix.metrics.fcn.segmenter import load_segmenter
from tfpix2pix.metrics.label_maps import find_tools
from tfpix2pix.metrics.registry import Examples, Metric, Result, Segmenter, Tools
from tfpix2pix.metrics.scoring import BATCH_SIZE, Split, score_split
from tfpix2pix.networks.tiles import generate_in_tiles
from tfpix2pix.pictures.examples import ShownExamples, ShowSample
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.paths import check_writable
from tfpix2pix.pipelines.base.progress import say, show_progress
from tfpix2pix.pipelines.catalogue import CATALOGUE
from tfpix2pix.pipelines.files.sources import Source
from tfpix2pix.pipelines.placing.dataset_folder import find_dataset_folder
from tfpix2pix.pipelines.remote.copies import open_output
from tfpix2pix.run import splits
from tfpix2pix.translate.latents import compile_encoder
from tfpix2pix.translate.translator import Translator


def evaluate_model(
    model: str | Path,
    output: str | Path | None = None,
    *,
    checkpoint: str | int | None = None,
    dataset: str | None = None,
    data_dir: str | Path | None = None,
    direction: str | None = None,
    image_size: int | str | tuple[int, int] | None = None,
    split: str = "val",
    metrics: Sequence[str] | None = None,
    segmenter: str | Path | Segmenter | None = None,
    palette: str | Path | None = None,
    absent_classes: str = "skip",
    samples_per_image: int = 4,
    noise_seed: int | None = None,
    inception_weights: str | Path | None = None,
    lpips_weights: str | Path | None = None,
    fid_torch_weights: str | Path | None = None,
    gallery_size: int = 200,
    inference_statistics: str = "instance",
    weights: str | None = None,
) -> Evaluation:
    """Scores a model on a split; writes `<output>/<metric>.json`, and `<output>/index.html` with pictures.

    Results of other metrics that `output` already holds stay and are shown on the page again, if they are
    of the same model, step, data and noise. Results of any other evaluation are removed, with a notice.

    Each image gets the noise that the validations of a training with the same seed give it, so the scores
    are those that the training has reported.

    Args:
      model: the workdir of a run, or a SavedModel as `Translator` takes it.
      output: folder for the results; None takes `<workdir>/eval`, and `eval/<name>` for a SavedModel.
      checkpoint: which checkpoint of a run: `latest` (the default), `best` or a step, 2 or "2".
      dataset: name of the dataset. None takes what the model was trained on, as `Translator.config` says
        it, and so it does for the next three. Where that is not known, this, `direction` and `image_size`
        must be given.
      data_dir: folder that holds the dataset; a SavedModel does not know it.
      direction: `AtoB` or `BtoA`.
      image_size: N, "HxW" or (height, width) in px that pairs are resized to, also those of a run that was
        trained with `resize=none`. Without it, pairs of such a run keep their size and go through in windows.
      split: `train`, `val` or `test`.
      metrics: names of metrics in `tfpix2pix.metrics.registry`; None takes all that apply.
      segmenter: for `fcn_score`: what `load_segmenter` takes, or what it returns.
      palette: classes of the label maps: the name of a dataset, or a JSON file; None takes those of the
        dataset.
      absent_classes: `skip` or `zero`; see `segmentation_scores`.
      samples_per_image: number of outputs of each input that `diversity` compares, of which `coverage` takes
        the nearest to the target, and that `latent_error` encodes.
      noise_seed: seed of the first sample; the n-th sample after it has `noise_seed + n`. None takes the
        seed of the training, or 0 where that is not known.
      inception_weights: file of weights for `fid` and `kid`.
      lpips_weights: file of torchvision's AlexNet for `lpips` and `lpips_diversity`.
      fid_torch_weights: file of torch-fidelity's InceptionV3 for `fid_torch` and `kid_torch`.
      gallery_size: the largest number of examples on the page, spread over the split. The scores are
        always those of all examples.
      inference_statistics: `instance` normalises each image by its own statistics, as `translate` and a
        SavedModel do. `batch` takes batches of the training's size, and normalises by their statistics what
        was trained so, as the paper's code does; only a run can be scored so. The last batch may be smaller.
      weights: `ema` or `raw`, see `Translator`.

    Returns:
      The results, which are in the files too.

    Raises:
      UsageError: when arguments do not go together.
      UserError: when a file cannot be read or written.

    Examples:
      >>> evaluation = evaluate_model(workdir, folder, metrics=["l1", "psnr"], gallery_size=0)
      >>> 0 < evaluation.results["l1"].scores["l1"] < 2
      True
      >>> sorted(path.name for path in folder.iterdir())
      ['index.html', 'l1.json', 'psnr.json']
    """
    registry.check_names(metrics or ())
    model = fetch_model(model, checkpoint)
    check_statistics(Path(model), inference_statistics)
    translator = Translator(
        model, checkpoint, batch_statistics=inference_statistics == BATCH, weights=weights
    )
    if told := tell_of_batches(translator.config, inference_statistics):
        say(told)
    folder = _settle_output(translator, Path(model), output)
    place = data_dir and str(data_dir)
    given = {"dataset": dataset, "data_dir": place, "direction": direction, "image_size": image_size}
    config = _settle_data(translator, {name: value for name, value in given.items() if value is not None})
    # Other data has a meaning of its own.
    meaning = None if dataset or direction else translator.meaning
    source = splits.open_split(config, split, meaning)
    network = load_segmenter(segmenter) if isinstance(segmenter, str | Path) else segmenter
    tools = find_tools(
        source,
        config.dataset,
        config.data_dir,
        palette,
        network,
        absent_classes=absent_classes,
        samples_per_image=samples_per_image,
        encode=compile_encoder(translator),
        **_settle_weights(inception_weights, lpips_weights, fid_torch_weights),
    )
    chosen = registry.build_metrics(metrics, tools)
    seed = config.seed if noise_seed is None else noise_seed
    job = _Job(translator, config, split, source, tools, chosen, seed, inference_statistics)
    gallery = Gallery(folder, source.example_ids, gallery_size, job.shown_samples)
    kept, others = sift_earlier(folder, description := job.describe(), source.example_ids)
    if others:
        _announce_replacement(folder, others)
    evaluation = Evaluation(folder, description, _score(job, gallery))
    for name in others:
        (folder / f"{name}.json").unlink(missing_ok=True)
    directions = {name: metric.higher_is_better for name, metric in job.metrics.items()}
    write_results(evaluation, directions, job.source.example_ids, kept, gallery)
    return evaluation


def _announce_replacement(folder: Path, others: Mapping[str, Sequence[str]]) -> None:
    files = ", ".join(f"{name}.json" for name in others)
    differences = ", ".join(sorted(set().union(*others.values())))
    say(
        f"{folder} holds results of another evaluation, which this one replaces: {files} "
        f"(other {differences}); `output=ANOTHER` keeps both"
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Job:
    """The model that is evaluated, the data that it gets, and the metrics that score it."""

    translator: Translator
    config: Config
    split: str
    source: Source
    tools: Tools
    metrics: dict[str, Metric]
    noise_seed: int
    inference_statistics: str

    @property
    def batch_size(self) -> int:
        """The number of images that are translated at a time."""
        return self.config.batch_size if self.inference_statistics == BATCH else BATCH_SIZE

    @property
    def shown_samples(self) -> int:
        """The number of outputs of each input on the page; more than one only with a latent vector."""
        counts = [each.samples for each in self.metrics.values()] if self.translator.latent_size else []
        return max(counts, default=1)

    def describe(self) -> dict[str, Any]:
        """Returns all that decides the scores, in types of JSON."""
        version, segmenter, tools = self.translator.version, self.tools.segmenter, self.tools
        return {
            "model": self.translator.title,
            "checkpoint_step": self.translator.step,
            "weights": self.translator.weights,
            "saved_model": str(version) if version else None,
            **{name: getattr(self.config, name) for name in ("dataset", "data_dir", "direction")},
            "image_size": self.config.image_size,
            **({} if self.config.resizes else {"resize": self.config.resize}),
            "split": self.split,
            "examples": len(self.source),
            "skipped": self.source.skipped,
            "noise_seed": self.noise_seed,
            "inference_statistics": self.inference_statistics,
            **({"batch_size": self.batch_size} if self.inference_statistics == BATCH else {}),
            "samples_per_image": tools.samples_per_image,
            "classes": tools.palette.names if tools.palette else None,
            "absent_classes": tools.absent_classes,
            "segmenter": segmenter.title if segmenter else None,
            **{name: str(file) if (file := getattr(tools, name)) else None for name in WEIGHTS},
            "tfpix2pix": tfpix2pix.__version__,
        }


def _settle_weights(*files: str | Path | None) -> dict[str, Path | None]:
    return {name: Path(file) if file else None for name, file in zip(WEIGHTS, files, strict=True)}


def _settle_output(translator: Translator, model: Path, output: str | Path | None) -> Path:
    version = translator.version
    if version is None:
        folder = Path(output or model / "eval")
    else:
        served = model_folder(version)
        folder = Path(output or Path("eval") / served.name)
        if served in (folder.resolve(), *folder.resolve().parents):
            raise UsageError(f"{folder} lies in {served}, which a server reads; choose another `output`")
    folder = open_output(folder)
    check_writable(folder, "output")
    return folder


def _settle_data(translator: Translator, given: Mapping[str, Any]) -> Config:
    """Returns the configuration of the training, in which what was given wins, checked as for a training."""
    trained = translator.config
    if trained is None:
        task = translator.task
        needed = ("dataset", "image_size") if task.from_photos else ("dataset", "direction", "image_size")
        if missing := [f"`{name}`" for name in needed if name not in given]:
            raise UsageError(
                f"give {', '.join(missing)}: {translator.version} has no {CARD_FILE} that says what it was "
                "trained on"
            )
        inputs = task.channels[0] - task.has_instances
        own = {"task": task.name, "input_channels": inputs, "output_channels": task.channels[1]}
        return make_config(**own, **task.settings, **given)
    checked = make_config(**{"dataset": trained.dataset, **given})
    changed = {name: getattr(checked, name) for name in given}
    if "image_size" in given:
        # A size is one to resize to, as in translate. The others are of the training, and need not fit it.
        depth = () if trained.generator in HD_GENERATORS else ("depth",)  # which decides on sizes
        changed |= {n: getattr(checked, n) for n in ("resize", "load_size", "receptive_field", *depth)}
    config = dataclasses.replace(trained, **changed)
    is_lost = translator.version and "data_dir" not in given and config.dataset not in CATALOGUE
    if is_lost and not find_dataset_folder(config.dataset, Path(config.data_dir)):
        raise UsageError(
            f"{translator.version} was trained on {config.dataset}, and does not say where that is: give "
            "`data_dir`, the folder of its pairs"
        )
    return config


def _score(job: _Job, gallery: Gallery) -> dict[str, Result]:
    """Scores every example; writes the pictures of those that the page shows."""
    translator, source, config = job.translator, job.source, job.config
    split = Split(source, config.image_size, job.noise_seed, job.tools, job.batch_size, config.resizes)
    network = translator.generate
    if not config.resizes:
        network = tf.function(
            generate_in_tiles(network, config.image_size), reduce_retracing=True, autograph=False
        )

    def generate(input_image: tf.Tensor, noise_seed: tf.Tensor) -> tf.Tensor:
        _check_channels(input_image, translator.input_channels, "takes", translator)
        generated_image = network(input_image, noise_seed)
        if not tf.reduce_all(tf.math.is_finite(generated_image)):
            raise UserError(f"{translator.title} generates values that are not finite; nothing was scored")
        return generated_image

    def watch(examples: Examples, shown: ShownExamples, show_sample: ShowSample) -> None:
        channels = examples.generated_samples.shape[-1]
        _check_channels(examples.target_image, channels, "generates", translator)
        gallery.add(bar.n, shown, show_sample)
        bar.update(len(shown.input))

    gallery.clear()
    try:
        with show_progress("evaluating", len(source), "images") as bar:
            results = score_split(generate, split, job.metrics, watch)
        return add_baseline(results, config, split, job.metrics)
    except tf.errors.ResourceExhaustedError as error:
        raise UserError(f"out of memory at {job.config.image_size} px; try a smaller `image_size`") from error


def _check_channels(images: tf.Tensor, channels: int, verb: str, translator: Translator) -> None:
    if images.shape[-1] != channels:
        raise UsageError(
            f"{translator.title} {verb} {channels} channels, and the dataset has {images.shape[-1]}: "
            "give the `dataset` that it was trained on"
        )
