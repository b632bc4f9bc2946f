"""The contestant that runs on PyTorch for pix2pixHD: the networks and the training step of the original code.

The networks are the global generator and discriminators of two sizes, with instance normalisation. A step
computes the losses of both, the least squares of the GAN and the matching of features, and updates the
generator and then the discriminators with Adam, on random pixels. It does not compute the discriminators'
gradients for the generator's loss, which the original code computes and drops.

    python -m benchmarks.pytorch_hd WHAT PRECISION HEIGHTxWIDTH BATCH_SIZE
"""

import os
import sys
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from benchmarks.contestant import answer
from benchmarks.pytorch import choose_precision, run_forward

# Wang et al., CVPR 2018, in the original code; for Cityscapes 35 classes and the boundaries are seen.
INPUT_CHANNELS = 36
FILTERS, DEPTH, BLOCKS = 64, 4, 9
SCALES, LAYERS, WIDEST = 2, 3, 512
LAMBDA_FEATURE_MATCHING = 10.0


class ResidualBlock(nn.Module):
    """Adds to feature maps what two 3x3 convolutions make of them."""

    def __init__(self, width: int):
        super().__init__()
        half = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
        again = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
        self.inside = nn.Sequential(*half, nn.ReLU(), *again)

    def forward(self, maps):
        """Returns maps of the same shape."""
        return maps + self.inside(maps)


def build_generator() -> nn.Module:
    """Returns the global generator."""
    widths = [FILTERS * 2**level for level in range(DEPTH + 1)]
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(INPUT_CHANNELS, FILTERS, 7)]
    layers += [nn.InstanceNorm2d(FILTERS), nn.ReLU()]
    for outer, inner in zip(widths, widths[1:], strict=False):
        layers += [nn.Conv2d(outer, inner, 3, 2, 1), nn.InstanceNorm2d(inner), nn.ReLU()]
    layers += [ResidualBlock(widths[-1]) for _ in range(BLOCKS)]
    for inner, outer in zip(widths[:0:-1], widths[-2::-1], strict=True):
        up = nn.ConvTranspose2d(inner, outer, 3, 2, 1, output_padding=1)
        layers += [up, nn.InstanceNorm2d(outer), nn.ReLU()]
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(FILTERS, 3, 7), nn.Tanh())


class Scale(nn.Module):
    """The discriminator of one size; it returns what each of its layers makes, the logits last."""

    def __init__(self):
        super().__init__()
        widths = [INPUT_CHANNELS + 3, *(min(FILTERS * 2**level, WIDEST) for level in range(LAYERS + 1))]
        layers = []
        for level, (channels, filters) in enumerate(zip(widths, widths[1:], strict=False)):
            convolution = nn.Conv2d(channels, filters, 4, 2 if level < LAYERS else 1, 2)
            norm = [nn.InstanceNorm2d(filters)] if level else []
            layers.append(nn.Sequential(convolution, *norm, nn.LeakyReLU(0.2)))
        self.layers = nn.ModuleList([*layers, nn.Conv2d(widths[-1], 1, 4, 1, 2)])

    def forward(self, maps):
        """Returns a list, of which the last entry is the logits."""
        outputs = []
        for layer in self.layers:
            maps = layer(maps)
            outputs.append(maps)
        return outputs


class Discriminators(nn.Module):
    """A discriminator for each size; it returns the lists of outputs, the full size first."""

    def __init__(self):
        super().__init__()
        self.scales = nn.ModuleList([Scale() for _ in range(SCALES)])
        self.halve = nn.AvgPool2d(3, 2, 1, count_include_pad=False)

    def forward(self, pair):
        """Returns a list for each size."""
        outputs = []
        for scale in self.scales:
            outputs.append(scale(pair))
            pair = self.halve(pair)
        return outputs


def _against(outputs, target: float) -> torch.Tensor:
    logits = [of_scale[-1].float() for of_scale in outputs]
    return sum(functional.mse_loss(each, torch.full_like(each, target)) for each in logits)


def _match_features(generated, real) -> torch.Tensor:
    weight = LAMBDA_FEATURE_MATCHING * 4 / (LAYERS + 1) / SCALES
    pairs = [pair for scales in zip(generated, real, strict=True) for pair in zip(*scales, strict=True)]
    pairs = [pair for number, pair in enumerate(pairs, 1) if number % (LAYERS + 2)]  # without the logits
    return weight * sum(functional.l1_loss(one.float(), other.detach().float()) for one, other in pairs)


def _random_images(channels: int, size: tuple[int, int], batch_size: int) -> torch.Tensor:
    return torch.rand(batch_size, channels, *size) * 2 - 1


def build_step(precision: str, size: tuple[int, int], batch_size: int) -> Callable[[], object]:
    """Returns a function that takes one training step and reads a loss."""
    generator, discriminators = build_generator(), Discriminators()
    g_adam, d_adam = (
        torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (generator, discriminators)
    )
    inputs, targets = (_random_images(channels, size, batch_size) for channels in (INPUT_CHANNELS, 3))
    autocast = choose_precision(precision)

    def judge(images: torch.Tensor):
        return discriminators(torch.cat([inputs, images], 1))

    def step():
        with autocast():
            generated = generator(inputs)
            discriminators.requires_grad_(True)
            real = judge(targets)
            d_loss = 0.5 * (_against(judge(generated.detach()), 0.0) + _against(real, 1.0))
            discriminators.requires_grad_(False)
            judged = judge(generated)
            g_loss = _against(judged, 1.0) + _match_features(judged, real)
        g_adam.zero_grad()
        g_loss.backward()
        g_adam.step()
        discriminators.requires_grad_(True)
        d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()
        return g_loss.item()

    return step


def build_forward(precision: str, size: tuple[int, int], batch_size: int) -> Callable[[], object]:
    """Returns a function that runs the generator once and reads the image."""
    return run_forward(build_generator(), _random_images(INPUT_CHANNELS, size, batch_size), precision)


BUILDERS = {"step": build_step, "forward": build_forward}

if __name__ == "__main__":
    what, precision, size, batch_size = sys.argv[1:]
    torch.set_num_threads(os.cpu_count() or 1)
    height, width = map(int, size.split("x"))
    answer(BUILDERS[what](precision, (height, width), int(batch_size)), pytorch=torch.__version__)
