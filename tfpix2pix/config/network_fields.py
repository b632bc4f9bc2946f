"""The settings of the networks and of what they minimise: a part of `Config`. TensorFlow is not imported."""

import dataclasses

from tfpix2pix.config.choices import (
    DISCRIMINATORS,
    DROPOUTS,
    GAN_LOSSES,
    GENERATORS,
    LAST_BLOCKS,
    LATENT_PLACES,
    METHODS,
    NORMALIZATIONS,
    OBJECTIVES,
    PRESETS,
    RECEPTIVE_FIELDS,
    UPSAMPLINGS,
)
from tfpix2pix.config.options import option
from tfpix2pix.config.run_config import RunConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkConfig(RunConfig):
    """What networks a run trains, by which method, and for which losses. `Config` adds the rest."""

    generator: str = option(
        "unet",
        "Build a generator of this architecture.",
        group="networks",
        choices=GENERATORS,
    )
    depth: int | None = option(
        None,
        "Halve the size of the images this many times in the generator.",
        group="networks",
        minimum=2,
    )
    residual_blocks: int | None = option(
        None,
        "Give the generators global and enhancer this many residual blocks.",
        group="networks",
        minimum=1,
    )
    enhancers: int = option(
        1,
        "Put this many local enhancers around the global generator with --generator=enhancer. Each works on "
        "images twice as large as those of the network inside it.",
        group="networks",
        minimum=1,
    )
    enhancer_blocks: int = option(
        3,
        "Give each enhancer this many residual blocks.",
        group="networks",
        minimum=1,
    )
    global_steps: int = option(
        0,
        "Train the global generator of --generator=enhancer alone for this many steps, on images of half the "
        "size (of 1/4 with two enhancers), before the rest of the training; with --method=pix2pixhd.",
        group="schedule",
        minimum=0,
    )
    enhancer_only_steps: int = option(
        0,
        "Train the enhancers of --generator=enhancer alone for this many steps, after --global_steps and "
        "before the whole generator is trained; with --method=pix2pixhd.",
        group="schedule",
        minimum=0,
    )
    upsampling: str = option(
        "transposed",
        "Enlarge feature maps in the decoder by transposed convolutions, which leaves a grid of 2 and 4 px, "
        "or resize them (nearest or bilinear) and then convolve, which leaves none that can be seen, has a "
        "quarter fewer parameters, and makes a pass of the paper's network 1.8 times as long.",
        group="networks",
        choices=UPSAMPLINGS,
    )
    last_block: str | None = option(
        None,
        "Make the image by the last enlarging convolution alone (single), which with --upsampling=bilinear "
        "has hardly any detail of 2 px, or enlarge, normalise and convolve once more at the full size "
        "(refined), which has some and makes a pass 1.4 to 1.6 times as long.",
        group="networks",
        choices=LAST_BLOCKS,
    )
    dropout: str = option(
        "paper",
        "Apply dropout in the generator where the paper does, where the PyTorch reference does (torch), "
        "or nowhere (none).",
        group="networks",
        choices=DROPOUTS,
    )
    latent_size: int = option(
        0,
        "Give the generator a latent vector of this many Gaussian values, which is drawn for each image, so "
        "that one input can have many outputs. With 0 there is none. 8 is usual, together with "
        "--lambda_mode_seeking.",
        group="networks",
        minimum=0,
    )
    latent_at: str = option(
        "all",
        "Append the latent vector to what each layer of the encoder sees (all), or to the input image alone "
        "(input). In residual generators, whose normalisations would remove it, it decides the scale and the "
        "offset of each channel instead: after every normalisation (all), or after those alone that follow a "
        "convolution of the input image (input).",
        group="networks",
        choices=LATENT_PLACES,
    )
    instance_features: int = option(
        0,
        "Give the generators global and enhancer this many channels of features, which tell how each "
        "instance of a label map looks, so that one label map can have many outputs. In training, an encoder "
        "finds them in the target; otherwise they are drawn for each instance from clusters of those that it "
        "found. With 0 there are none. pix2pixHD takes 3, with --method=pix2pixhd and --boundaries.",
        group="networks",
        minimum=0,
    )
    feature_filters: int = option(
        16,
        "Give the first block of the encoder of --instance_features this many filters.",
        group="networks",
        minimum=1,
    )
    feature_depth: int = option(
        4,
        "Halve the size of the images this many times in the encoder of --instance_features.",
        group="networks",
        minimum=1,
    )
    feature_clusters: int = option(
        10,
        "Make at most this many clusters of the --instance_features of each class, by k-means. They are made "
        "anew for each checkpoint.",
        group="networks",
        minimum=1,
    )
    feature_examples: int = option(
        1000,
        "Make the clusters of --instance_features from so many examples of the training split, its first "
        "ones.",
        group="networks",
        minimum=1,
    )
    discriminator: str = option(
        "patch",
        "Build a discriminator of this architecture.",
        group="networks",
        choices=DISCRIMINATORS,
    )
    receptive_field: int = option(
        70,
        f"Let the discriminator judge patches of this size in px: {', '.join(map(str, RECEPTIVE_FIELDS))}.",
        group="networks",
        choices=RECEPTIVE_FIELDS,
    )
    num_discriminators: int = option(
        2,
        "Judge images at this many sizes with --discriminator=multiscale or pyramid: at their own, at half "
        "of it, and so on.",
        group="networks",
        minimum=1,
    )
    discriminator_layers: int = option(
        3,
        "Halve the size this many times in each network of --discriminator=multiscale or pyramid; 3 judge "
        "patches of 70 px.",
        group="networks",
        minimum=1,
    )
    base_filters: int = option(
        64,
        "Give the first block of both networks this many filters.",
        group="networks",
        minimum=1,
    )
    discriminator_filters: int | None = option(
        None,
        "Give the first block of the discriminator this many filters.",
        group="networks",
        minimum=1,
    )
    normalization: str = option(
        "batch",
        "Normalise the feature maps of both networks by the statistics of the batch, by those of each "
        "image (instance), by those of each image without a scale and an offset (plain_instance), or not "
        "at all.",
        group="networks",
        choices=NORMALIZATIONS,
    )
    method: str = option(
        "pix2pix",
        "Train by this method.",
        group="objective",
        choices=METHODS,
    )
    objective: str = option(
        "l1+cgan",
        "Minimise these losses of the generator: the L1 distance to the target, the loss of a GAN whose "
        "discriminator sees only the output (gan), or of one that sees the input too (cgan).",
        group="objective",
        choices=OBJECTIVES,
    )
    gan_loss: str = option(
        "cross_entropy",
        "Let the discriminator learn by this loss, and the generator by its counterpart.",
        group="objective",
        choices=GAN_LOSSES,
    )
    lambda_l1: float = option(
        100.0,
        "Multiply the L1 loss by this weight.",
        group="objective",
        minimum=0,
    )
    preset: str = option(
        "recipe",
        "Take what is not given from the recipe, or from what comes to the recipe's scores in less time "
        "(fast): an average of the weights (--ema_decay=0.999), feature matching "
        "(--lambda_feature_matching=10) and, where the inputs are label maps of known classes, "
        "--input_encoding=one_hot.",
        group="schedule",
        choices=PRESETS,
    )
    ema_decay: float = option(
        0.0,
        "Keep an exponential moving average of the generator's weights, of which this share stays in each "
        "step, such as 0.999. It is validated, translated with and exported in place of the weights "
        "themselves. With 0 there is no average.",
        group="schedule",
        minimum=0,
        below=1,
    )
    lambda_feature_matching: float = option(
        0.0,
        "Multiply by this weight the loss that matches what the discriminator's layers make of the target "
        "and of the generated image. pix2pixHD takes 10.",
        group="objective",
        minimum=0,
        term="tfpix2pix.methods.losses:feature_matching",
        reads_features=True,
    )
    lambda_vgg: float = option(
        0.0,
        "Multiply by this weight the loss that compares the features which VGG-19 finds in the target and in "
        "the generated image. It needs --vgg19_weights. pix2pixHD takes 10.",
        group="objective",
        minimum=0,
        term="tfpix2pix.methods.losses:build_vgg",
        is_built=True,
    )
    vgg19_weights: str = option(
        "",
        "Take these weights of VGG-19 for --lambda_vgg: those that Keras downloads (imagenet), an .h5 file "
        "of keras.applications, or an .npz file of torchvision's, which the code of pix2pixHD uses.",
        group="objective",
    )
    lambda_mode_seeking: float = option(
        0.0,
        "Multiply by this weight the loss that asks two samples of one input to differ. It takes "
        "--latent_size; 0.3 is usual, together with a smaller --lambda_l1, such as 10.",
        group="objective",
        minimum=0,
        term="tfpix2pix.methods.losses:mode_seeking",
        reads_second_sample=True,
    )
    lambda_kl: float = option(
        0.01,
        "Multiply by this weight the divergence of encoded latent vectors from a Gaussian, with "
        "--method=bicyclegan.",
        group="objective",
        minimum=0,
    )
    lambda_latent: float = option(
        0.5,
        "Multiply by this weight the distance of a drawn latent vector from the one that the encoder finds "
        "in the generated image, with --method=bicyclegan.",
        group="objective",
        minimum=0,
    )
