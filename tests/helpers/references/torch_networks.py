"""The networks of the PyTorch reference in PyTorch: what converted weights are compared with.

Run as a script, it records `torch_networks.npz`, for tests where PyTorch is absent.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

RECORDING = Path(__file__).with_suffix(".npz")
# Name of a recorded generator -> depth, filters, input and output channels, norm.
GENERATORS = {
    "batch": (6, 1, (3, 3), "batch"),
    "instance": (6, 1, (1, 2), "instance"),
    "none": (5, 1, (4, 3), "none"),
}
# Name of a recorded discriminator -> strided convolutions, filters, channels, norm.
DISCRIMINATORS = {
    "n_layers_2": (2, 3, 6, "batch"),
    "n_layers_1": (1, 2, 3, "instance"),
    "pixel": (0, 5, 6, "batch"),
    "pixel_instance": (0, 4, 3, "instance"),
}


class SkipBlock(nn.Module):
    """One level of the U-Net, which contains all levels below it."""

    def __init__(self, number, depth, filters, channels, norm, dropout):
        super().__init__()
        width = [filters * min(2**level, 8) for level in range(depth)]
        outermost, innermost = number == 1, number == depth
        inside, biased = width[number - 1], norm == "instance"
        self.joins = not outermost
        down_from = channels[0] if outermost else width[number - 2]
        up_to = channels[1] if outermost else width[number - 2]
        sequence = [] if outermost else [nn.LeakyReLU(0.2, inplace=True)]
        sequence += [nn.Conv2d(down_from, inside, 4, 2, 1, bias=biased)]
        if not innermost:
            sequence += [] if outermost else [build_norm(norm, inside)]
            sequence += [SkipBlock(number + 1, depth, filters, channels, norm, dropout)]
        up_from = inside if innermost else 2 * inside
        sequence += [nn.ReLU(inplace=True)]
        sequence += [nn.ConvTranspose2d(up_from, up_to, 4, 2, 1, bias=biased or outermost)]
        sequence += [nn.Tanh()] if outermost else [build_norm(norm, up_to)]
        if dropout and 5 <= number < depth:
            sequence += [nn.Dropout(0.5)]
        self.model = nn.Sequential(*sequence)

    def forward(self, images):
        """Runs the level; all but the outermost put their own input before their output."""
        return torch.cat([images, self.model(images)], 1) if self.joins else self.model(images)


class Unet(nn.Module):
    """The generator; `--norm batch|instance|none`."""

    def __init__(self, depth, filters, channels, norm, dropout=False):
        super().__init__()
        self.model = SkipBlock(1, depth, filters, channels, norm, dropout)

    def forward(self, images):
        """Translates images, [B, C, H, W]."""
        return self.model(images)


class Discriminator(nn.Module):
    """The discriminators `n_layers`, `basic` (3 strided convolutions) and, with none of them, `pixel`."""

    def __init__(self, strided, filters, channels, norm):
        super().__init__()
        biased = norm == "instance"
        kernel = (4, 2, 1) if strided else (1, 1, 0)
        blocks = strided + 1 if strided else 2
        sequence = [nn.Conv2d(channels, filters, *kernel), nn.LeakyReLU(0.2, inplace=True)]
        before = filters
        for block in range(1, blocks):
            after = filters * min(2**block, 8)
            last = (4, 1, 1) if strided and block == blocks - 1 else kernel
            sequence += [nn.Conv2d(before, after, *last, bias=biased), build_norm(norm, after)]
            sequence += [nn.LeakyReLU(0.2, inplace=True)]
            before = after
        last = (4, 1, 1) if strided else kernel
        sequence += [nn.Conv2d(before, 1, *last, bias=bool(strided) or biased)]
        setattr(self, "model" if strided else "net", nn.Sequential(*sequence))

    def forward(self, images):
        """Returns the logits of images, or of pairs of them, [B, C, H, W]."""
        return (self.model if hasattr(self, "model") else self.net)(images)


def build_norm(norm, channels):
    """Returns the module of `--norm`."""
    if norm == "instance":
        return nn.InstanceNorm2d(channels, affine=False)
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.Identity()


def randomize(network, seed):
    """Draws large weights, so that all of them matter to the output; returns the network in training mode."""
    generator = torch.Generator().manual_seed(seed)
    for value in network.parameters():
        fan_in = value[0].numel() if value.ndim == 4 else 1
        scale = 1.5 / fan_in**0.5 if value.ndim == 4 else 0.3
        value.data = torch.randn(value.shape, generator=generator) * scale + (
            value.data if value.ndim == 1 else 0
        )
    return network.train()


def run(network, images):
    """Runs a network on NHWC images."""
    with torch.no_grad():
        outputs = network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    return outputs.numpy().transpose(0, 2, 3, 1)


def read_state(network):
    """Returns the state dict in NumPy."""
    return {name: value.numpy().copy() for name, value in network.state_dict().items()}


def draw_images(channels, side_px):
    """Returns one random image, uint8 NHWC."""
    return np.random.default_rng(0).integers(0, 256, (1, side_px, side_px, channels), np.uint8)


def to_unit_range(pixels):
    """Returns uint8 pixels in [-1, 1]."""
    return pixels.astype(np.float32) / 127.5 - 1


def record():
    """Writes weights, inputs and outputs of every network above."""
    networks = {name: (Unet, *values) for name, values in GENERATORS.items()}
    networks |= {name: (Discriminator, *values) for name, values in DISCRIMINATORS.items()}
    arrays = {}
    for seed, (name, (kind, *values)) in enumerate(networks.items()):
        network = randomize(kind(*values), seed)
        state = read_state(network)
        channels, side_px = (values[2][0], 64) if kind is Unet else (values[2], 32)
        pixels = draw_images(channels, side_px)
        arrays |= {f"{name}/state/{tensor}": value for tensor, value in state.items()}
        arrays |= {f"{name}/input": pixels, f"{name}/output": run(network, to_unit_range(pixels))}
    np.savez_compressed(RECORDING, **arrays)


if __name__ == "__main__":
    record()
