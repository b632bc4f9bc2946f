"""Generators, discriminators and the layers they are made of.

Face: `generators.unet_generator`, `discriminators.patch_discriminator`, `build.build_generator`,
`inference.compile_generator`.
"""
