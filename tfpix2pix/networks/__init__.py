"""Generators, discriminators and the layers they are made of."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "unet_generator": "generators",
        "encoder_decoder_generator": "generators",
        "global_generator": "residual",
        "enhancer_generator": "residual",
        "resnet_6blocks_generator": "resnet",
        "resnet_9blocks_generator": "resnet",
        "patch_discriminator": "discriminators",
        "multiscale_discriminator": "discriminators",
        "with_features": "discriminators",
        "build_generator": "build",
        "build_discriminator": "build",
        "compile_generator": "inference",
    },
)
