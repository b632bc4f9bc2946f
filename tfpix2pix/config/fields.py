"""The settings of a pix2pix run: one dataclass, whose fields are flags. TensorFlow is not imported."""

import dataclasses

from tfpix2pix.config.checks import check
from tfpix2pix.config.choices import (
    CONV_KERNELS,
    METRICS,
    NORM_BACKENDS,
    RESIZES,
    SERVING_NOISE,
    STRATEGIES,
)
from tfpix2pix.config.network_fields import NetworkConfig
from tfpix2pix.config.options import list_fields, option, redefine
from tfpix2pix.config.run_config import RunConfig
from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.tasks.registry import BILINEAR, ENCODINGS, HOLES, RESIZE_METHODS, TASKS


def _list_tasks() -> str:
    *others, last = [f"{spec.title} ({name})" for name, spec in TASKS.items()]
    return f"{', '.join(others)}, or {last}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(NetworkConfig):
    """Everything that decides a run. Build it with `make_config`.

    Sizes are (height, width) in px; `*_steps` count steps, each of which updates D once and G once.
    """

    direction: str = option(
        "AtoB",
        "Translate the left image of a pair, as it is on disk, into the right one (AtoB), or the right "
        "one into the left one (BtoA).",
        group="data",
        choices=catalogue.DIRECTIONS,
    )
    task: str = option(
        "pairs",
        f"Learn to generate {_list_tasks()}.",
        group="data",
        choices=TASKS.keys(),
    )
    hole: str = option(
        "center",
        "Cut one hole out of the middle of each photo, or three at random places; this is for "
        "--task=inpaint.",
        group="data",
        choices=HOLES,
    )
    resize: str = option(
        "stretch",
        "Resize images to the size of the training, or never resize them (none): train on random windows of "
        "--image_size, and translate whole images in overlapping windows. That is for images whose pixels "
        "all have one scale, such as those of satellites and microscopes.",
        group="data",
        choices=RESIZES,
    )
    resize_method: str = option(
        BILINEAR,
        "Resize pictures by this method, in the training with its jitter, and wherever the model is used. "
        "bicubic keeps more of their fine detail. Class ids, and label maps with --input_encoding=one_hot, "
        "are resized to the nearest pixel.",
        group="data",
        choices=RESIZE_METHODS,
    )
    input_channels: int = option(
        3,
        "Translate input images of this many channels with --task=pairs. With 1 they are read as gray; "
        "with any other number but 3 the files must have that many channels.",
        group="data",
        minimum=1,
    )
    output_channels: int = option(
        3,
        "Generate images of this many channels with --task=pairs. With 1 the target images are read as "
        "gray; with any other number but 3 their files must have that many channels.",
        group="data",
        minimum=1,
    )
    input_encoding: str = option(
        "picture",
        "Let the networks see input images as they are, or label maps as a channel for each class of the "
        "palette (one_hot). Label maps are then resized to the nearest pixel.",
        group="data",
        choices=ENCODINGS,
    )
    boundaries: bool = option(
        False,
        "Let the networks see the borders of instances in label maps as one more channel. The instances are "
        "those of maps in a folder instances/ beside the label maps, of Cityscapes' own maps, or of the "
        "generated facades; where there are no such maps, they are the classes. Label maps are then resized "
        "to the nearest pixel.",
        group="data",
    )
    batch_size: int = redefine(
        RunConfig,
        "batch_size",
        help="Train on this many examples in each step, over all replicas together. With more "
        "than 1, --normalization=batch learns with the statistics of batches, and translates with those of "
        "each image, which costs a little quality; --normalization=instance has no such gap.",
    )
    best_metric: str = option(
        "l1",
        "Choose the best checkpoint by this score of the validation; fcn_score needs --segmenter.",
        group="output",
        choices=METRICS,
    )
    segmenter: str = option(
        "",
        "Compute the fcn_score of the validation with this segmentation network: the folder of a run of "
        "tfpix2pix.metrics.fcn, or a .keras file.",
        group="output",
    )
    init_from: str = option(
        "",
        "Start with the weights of this run, SavedModel, .keras file, or .pth file of the PyTorch reference, "
        "with new optimizers, at step 0. RUN:STEP or RUN:best takes another checkpoint than the latest. "
        "hf://user/repo, a URL, or a name such as facades_label2photo is downloaded first. A run that goes "
        "on ignores it.",
        group="networks",
        may_change=True,
    )
    sample_every_steps: int = option(
        1000,
        "Write sample pictures to TensorBoard every time that this many steps are done.",
        group="output",
        may_change=True,
        minimum=1,
    )
    profile_steps: str = option(
        "",
        "Profile the steps from A to B, given as A:B, for TensorBoard; --steps_per_call is then 1.",
        group="output",
        may_change=True,
    )
    export: bool = option(
        True,
        "Write a SavedModel when the training ends.",
        group="output",
        may_change=True,
    )
    saved_model_dir: str = option(
        "saved_models",
        "Write SavedModels to this folder.",
        group="output",
        may_change=True,
    )
    validate_examples: int | None = option(
        None,
        "Score only this many examples of the validation split, its first ones.",
        group="output",
        minimum=1,
    )
    serving_noise: str = option(
        "fixed",
        "Let the SavedModel answer requests that bring no seed with the same noise for all (fixed), with "
        "noise that is drawn for each image (random), or without noise (off).",
        group="output",
        choices=SERVING_NOISE,
        may_change=True,
    )
    strategy: str = option(
        "auto",
        "Train on all GPUs of this machine (mirrored), on the processes that TF_CONFIG lists "
        "(multiworker), or on one GPU or the CPU (one_device). With auto, it is mirrored where there is "
        "a GPU, and one_device elsewhere. It may change between starts of a run.",
        group="machine",
        choices=STRATEGIES,
        may_change=True,
    )
    join_timeout_sec: int = option(
        600,
        "With --strategy=multiworker, wait this many seconds for the other processes to come.",
        group="machine",
        may_change=True,
        minimum=1,
    )
    steps_per_call: int = option(
        1,
        "Take this many steps in each call of the compiled training loop.",
        group="machine",
        may_change=True,
        minimum=1,
    )
    jit_compile: bool = option(
        False,
        "Compile the training step with XLA.",
        group="machine",
    )
    remat: bool = option(
        False,
        "Keep few of the generator's feature maps for its gradient, and compute the others once more: larger "
        "images fit into the memory, the step takes longer, and the weights are the same.",
        group="machine",
        may_change=True,
    )
    conv_kernels: str = option(
        "auto",
        "On a CPU compute convolutions of small feature maps as matrix products and, without AVX-512, those "
        "of large ones in strips, which is faster (auto), or compute all with TensorFlow's kernels (native).",
        group="machine",
        choices=CONV_KERNELS,
    )
    minimal_filtering: bool = option(
        True,
        "On a CPU compute convolutions of stride 1 in float32 with fewer multiplications, where that is "
        "faster and --conv_kernels=auto. A run that was begun before there was this setting goes on without.",
        group="machine",
    )
    norm_backend: str = option(
        "own",
        "Compute --normalization=instance in training with this project's own layer, or with that of "
        "tensorflow-addons, which needs Keras 2 (addons).",
        group="machine",
        choices=NORM_BACKENDS,
        may_change=True,
    )

    def __post_init__(self):
        check(self)

    @property
    def spec(self) -> catalogue.DatasetSpec:
        """The catalogue's entry of the dataset."""
        return catalogue.find_dataset(self.dataset)

    @property
    def resizes(self) -> bool:
        """Whether images are resized to `image_size`; if not, windows of that size are cut out of them."""
        return self.resize == "stretch"


FIELDS = list_fields(Config)
