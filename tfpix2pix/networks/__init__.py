"""Generators, discriminators and the layers they are made of."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "unet_generator": "generators",
        "encoder_decoder_generator": "generators",
        "patch_discriminator": "discriminators",
        "with_features": "discriminators",
        "build_generator": "build",
        "build_discriminator": "build",
        "compile_generator": "inference",
    },
)
