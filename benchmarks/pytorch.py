"""The contestant that runs on PyTorch: the networks and the training step of the PyTorch reference.

The networks are a U-Net and a 70x70 PatchGAN with batch normalisation. A step updates the discriminator and
then the generator with Adam, on random pixels. PyTorch is not among the requirements: `pip install torch`.

    python -m benchmarks.pytorch WHAT PRECISION IMAGE_SIZE BATCH_SIZE
"""

import contextlib
import os
import sys
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from benchmarks.contestant import answer

LAMBDA_L1 = 100.0


def _down(channels: int, filters: int, norm: bool, stride: int = 2, bias: bool = False) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, filters, 4, stride, 1, bias=bias)
    return [convolution, nn.BatchNorm2d(filters)] if norm else [convolution]


class Block(nn.Module):
    """One level of the U-Net and the levels below it; it returns its output joined to its input."""

    def __init__(self, level: int, depth: int):
        super().__init__()
        outer, inner = _width(level), _width(level + 1)
        innermost = level == depth - 1
        down = _down(outer if level else 3, inner, norm=0 < level < depth - 1)
        self.down = nn.Sequential(*([nn.LeakyReLU(0.2)] if level else []), *down)
        self.below = None if innermost else Block(level + 1, depth)
        channels = inner if innermost else 2 * inner
        if level == 0:
            up = [nn.ConvTranspose2d(channels, 3, 4, 2, 1), nn.Tanh()]
        else:
            up = [nn.ConvTranspose2d(channels, outer, 4, 2, 1, bias=False), nn.BatchNorm2d(outer)]
            if level >= depth - 3:
                up.append(nn.Dropout(0.5))
        self.up = nn.Sequential(nn.ReLU(), *up)
        self.outermost = level == 0

    def forward(self, images):
        inner = self.down(images)
        outputs = self.up(inner if self.below is None else self.below(inner))
        return outputs if self.outermost else torch.cat([images, outputs], 1)


def _width(level: int) -> int:
    return 64 * min(2 ** max(level - 1, 0), 8)


def build_discriminator() -> nn.Module:
    """Returns the 70x70 PatchGAN."""
    layers: list[nn.Module] = []
    widths = [6, 64, 128, 256, 512]
    for block in range(4):
        first, last = block == 0, block == 3
        layers += _down(widths[block], widths[block + 1], norm=not first, stride=1 if last else 2, bias=first)
        layers.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*layers, nn.Conv2d(512, 1, 4, 1, 1))


def _depth(image_size: int) -> int:
    return min(8, image_size.bit_length() - 1)


def choose_precision(precision: str) -> Callable[[], contextlib.AbstractContextManager]:
    """Returns what the passes of a step run in."""
    return lambda: torch.autocast("cpu", torch.bfloat16, enabled=precision == "mixed_bfloat16")


def _random_images(image_size: int, batch_size: int) -> torch.Tensor:
    return torch.rand(batch_size, 3, image_size, image_size) * 2 - 1


def build_step(precision: str, image_size: int, batch_size: int) -> Callable[[], object]:
    """Returns a function that takes one training step and reads the losses."""
    generator, discriminator = Block(0, _depth(image_size)), build_discriminator()
    g_adam, d_adam = (
        torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (generator, discriminator)
    )
    inputs, targets = _random_images(image_size, batch_size), _random_images(image_size, batch_size)
    autocast = choose_precision(precision)

    def loss(images: torch.Tensor, label: float) -> torch.Tensor:
        logits = discriminator(torch.cat([inputs, images], 1)).float()
        return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))

    def step():
        with autocast():
            generated = generator(inputs)
            discriminator.requires_grad_(True)
            d_adam.zero_grad()
            d_loss = 0.5 * (loss(generated.detach(), 0.0) + loss(targets, 1.0))
        d_loss.backward()
        d_adam.step()
        discriminator.requires_grad_(False)
        g_adam.zero_grad()
        with autocast():
            l1 = functional.l1_loss(generated.float(), targets)
            g_loss = loss(generated, 1.0) + LAMBDA_L1 * l1
        g_loss.backward()
        g_adam.step()
        return g_loss.item()

    return step


def build_forward(precision: str, image_size: int, batch_size: int) -> Callable[[], object]:
    """Returns a function that runs the generator once and reads the image."""
    return run_forward(Block(0, _depth(image_size)), _random_images(image_size, batch_size), precision)


def run_forward(generator: nn.Module, inputs: torch.Tensor, precision: str) -> Callable[[], object]:
    """Returns a function that runs a generator once on images and reads what it makes."""
    autocast = choose_precision(precision)

    def forward():
        with torch.no_grad(), autocast():
            return generator(inputs).float().numpy()

    return forward


BUILDERS = {"step": build_step, "forward": build_forward}

if __name__ == "__main__":
    what, precision, image_size, batch_size = sys.argv[1:]
    torch.set_num_threads(os.cpu_count() or 1)
    answer(BUILDERS[what](precision, int(image_size), int(batch_size)), pytorch=torch.__version__)
