"""Weights from and to pytorch-CycleGAN-and-pix2pix.

Face: the command `torch_weights`.
"""
