"""The names that settings choose from, each list once. TensorFlow is not imported.

Lists that the data layer needs too stand there: directions, and what happens to bad images, in
`pipelines/catalogue.py`; tasks in `pipelines/tasks/registry.py`.
"""

from collections.abc import Callable
from typing import Any

from tfpix2pix.pipelines.base.homes import Home

# Name -> the function that builds the network: as "module:function", which imports nothing until
# it is used (`pipelines.base.homes`), or the function itself. `tfpix2pix/networks/build.py` says
# what a builder is called with and what it returns. A script of your own adds a network by adding
# an entry before it builds the configuration; the flag, its help, its check and config.json follow.
GENERATORS: dict[str, str | Callable[..., Any]] = {
    "unet": "tfpix2pix.networks.generators:unet_generator",
    "encoder_decoder": "tfpix2pix.networks.generators:encoder_decoder_generator",
    "resnet_6blocks": "tfpix2pix.networks.resnet:resnet_6blocks_generator",
    "resnet_9blocks": "tfpix2pix.networks.resnet:resnet_9blocks_generator",
    "global": "tfpix2pix.networks.residual:global_generator",
    "enhancer": "tfpix2pix.networks.residual:enhancer_generator",
}
DISCRIMINATORS: dict[str, str | Callable[..., Any]] = {
    "patch": "tfpix2pix.networks.discriminators:patch_discriminator",
    "multiscale": "tfpix2pix.networks.discriminators:multiscale_discriminator",
    "pyramid": "tfpix2pix.networks.discriminators:pyramid_discriminator",
}

# Name -> the function that builds the networks and the training step; `tfpix2pix/methods/build.py` says what
# it is called with.
METHODS: dict[str, Home] = {
    "pix2pix": "tfpix2pix.methods.pix2pix:build_step",
    "pix2pixhd": "tfpix2pix.methods.pix2pixhd:build_step",
    "bicyclegan": "tfpix2pix.methods.bicyclegan:build_step",
}
# Method -> the settings of its paper, which hold where they are not given.
METHOD_RECIPES: dict[str, dict[str, Any]] = {
    "pix2pixhd": {
        "generator": "global",
        "discriminator": "multiscale",
        "normalization": "plain_instance",
        "objective": "cgan",
        "gan_loss": "least_squares",
        "lambda_feature_matching": 10.0,
    },
    "bicyclegan": {
        "latent_size": 8,
        "dropout": "none",
        "discriminator": "pyramid",
        "normalization": "plain_instance",
        "objective": "l1+gan",
        "gan_loss": "least_squares",
        "lambda_l1": 10.0,
        "batch_size": 2,
    },
}

# Preset -> the settings that hold where they are not given; docs/results.md measured what they gain.
PRESETS: dict[str, dict[str, Any]] = {
    "recipe": {},
    "fast": {"ema_decay": 0.999, "input_encoding": "one_hot", "lambda_feature_matching": 10.0},
}

# Name -> the function that builds the metric; `tfpix2pix/metrics/registry.py` says what a metric is.
METRICS: dict[str, Home] = {
    "l1": "tfpix2pix.metrics.image_quality:l1",
    "psnr": "tfpix2pix.metrics.image_quality:psnr",
    "ssim": "tfpix2pix.metrics.image_quality:ssim",
    "hole_l1": "tfpix2pix.metrics.image_quality:hole_l1",
    "fcn_score": "tfpix2pix.metrics.segmentation_scores:fcn_score",
    "label_accuracy": "tfpix2pix.metrics.label_accuracy:label_accuracy",
    "histogram_intersection": "tfpix2pix.metrics.histograms:histogram_intersection",
    "diversity": "tfpix2pix.metrics.diversity:diversity",
    "coverage": "tfpix2pix.metrics.coverage:coverage",
    "latent_error": "tfpix2pix.metrics.latent_error:latent_error",
    "fid": "tfpix2pix.metrics.inception:fid",
    "kid": "tfpix2pix.metrics.inception:kid",
    "lpips": "tfpix2pix.metrics.torch_metrics:lpips",
    "lpips_diversity": "tfpix2pix.metrics.torch_metrics:lpips_diversity",
    "fid_torch": "tfpix2pix.metrics.torch_metrics:fid_torch",
    "kid_torch": "tfpix2pix.metrics.torch_metrics:kid_torch",
}

# The generators of pix2pixHD, and the downsamplings of the global one where `depth` says nothing.
HD_GENERATORS = ("global", "enhancer")
GLOBAL_DEPTH = 4

# How a decoder block doubles the size.
UPSAMPLINGS = ("transposed", "nearest", "bilinear")
# How the last decoder block makes the image: by one convolution, or by one more at the full size.
LAST_BLOCKS = ("single", "refined")
# Where a latent vector goes: to all layers of a U-Net's encoder, or of a residual generator; or to the first.
LATENT_PLACES = ("all", "input")
# Which decoder blocks drop activations: the paper's first three, or those of the PyTorch reference.
DROPOUT_PLACES = ("paper", "torch")
DROPOUTS = (*DROPOUT_PLACES, "none")
# plain_instance: without scale and offset, as in the PyTorch reference.
NORMALIZATION_KINDS = ("batch", "instance", "plain_instance")
NORMALIZATIONS = (*NORMALIZATION_KINDS, "none")
NORM_BACKENDS = ("own", "addons")
CONV_KERNELS = ("auto", "native")

# Receptive field of the patch discriminator in px -> the number of its stride-2 convolutions.
# 1 px is the PixelGAN, which has only 1x1 filters.
STRIDED_CONVOLUTIONS = {1: 0, 16: 1, 34: 2, 70: 3, 142: 4, 286: 5, 574: 6}
RECEPTIVE_FIELDS = tuple(STRIDED_CONVOLUTIONS)
# Every image has at least this height and width, px. Receptive fields that need more for one
# logit stand with what they need.
LEAST_SIZE = 32
LEAST_SIZES = {142: 48, 286: 96, 574: 192}

OBJECTIVES = ("l1", "gan", "cgan", "l1+gan", "l1+cgan")
# The adversarial losses, which `methods/losses.py` defines.
GAN_LOSSES = ("cross_entropy", "least_squares", "hinge")
LR_SCHEDULES = ("constant", "linear_decay")
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
STRATEGIES = ("auto", "mirrored", "multiworker", "one_device")

# Images are resized to the size of the training, or random windows of that size are cut out of them.
RESIZES = ("stretch", "none")
# Outputs have the size of their input, or the size that the model was trained at.
OUTPUT_SIZES = ("input", "trained")
# Whose statistics a trained network normalises by: each image's own, or those of the batch that it is in.
INFERENCE_STATISTICS = ("instance", "batch")
# The weights of a network that Keras downloads, in place of a file.
IMAGENET = "imagenet"
# The average of the weights over the steps of a training, or the weights of the last step.
WEIGHTS = ("ema", "raw")
WEIGHTS_HELP = (
    "Take the average of a run's weights over its steps (ema), if its training kept one, or the weights of "
    "the step itself (raw). Default: the average, where there is one."
)
# Which noise a SavedModel uses for requests that bring no seed.
SERVING_NOISE = ("fixed", "random", "off")
# Whether a file for another runtime takes the seed of the noise as an input.
FILE_NOISE = ("input", "off")
