"""LPIPS, and an FID and a KID that can be compared with published ones, by the field's own libraries.

They are those of the extra `[metrics]`: lpips, with the weights of its authors, and torch-fidelity, whose
network has the weights of the original FID. The large networks behind them are downloaded, or given as files.
"""

import dataclasses
import functools
import importlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from tfpix2pix.metrics.inception import combine_fid, combine_kid, measure_features
from tfpix2pix.metrics.registry import (
    Examples,
    Metric,
    NotApplicableError,
    Partials,
    Pictures,
    Result,
    Tools,
    mean_of_images,
)
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.base.progress import warn

if TYPE_CHECKING:
    import torch

ALEXNET_URL = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
_FIDELITY = "torch_fidelity.feature_extractor_inceptionv3"
INCEPTION_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)


def lpips(tools: Tools) -> Metric:
    """LPIPS of generated and real images; published LPIPS compare only with the published weights."""
    if tools.label_side == "target" or tools.channels != 3:
        raise NotApplicableError("lpips compares pictures in colour, and this model generates others")
    network = load_lpips(tools.lpips_weights) if tools.loads_networks else _import("lpips")

    def measure(examples: Examples) -> Partials:
        pictures = (examples.generated_picture, examples.target_picture)
        return {"lpips": _distance(network, *(each.astype(np.float32) / 127.5 - 1 for each in pictures))}

    return Metric(measure, mean_of_images, higher_is_better=False)


def lpips_diversity(tools: Tools) -> Metric:
    """Mean LPIPS of outputs of one input; published values compare only with the published weights."""
    if tools.samples_per_image < 2 or tools.channels != 3:
        raise NotApplicableError(
            "lpips_diversity compares samples of RGB images: give `samples_per_image=2` or more"
        )
    network = load_lpips(tools.lpips_weights) if tools.loads_networks else _import("lpips")

    def measure(examples: Examples) -> Partials:
        samples = np.clip(examples.generated_samples.numpy(), -1, 1)
        pairs = [(first, second) for first in range(len(samples)) for second in range(first)]
        distances = [_distance(network, samples[first], samples[second]) for first, second in pairs]
        return {"lpips_diversity": np.mean(distances, axis=0)}

    return Metric(measure, mean_of_images, higher_is_better=None, samples=tools.samples_per_image)


def fid_torch(tools: Tools) -> Metric:
    """FID by torch-fidelity's network; published FIDs compare only with the published weights."""
    return Metric(_measure(tools), functools.partial(_rename, combine_fid, "fid"), higher_is_better=False)


def kid_torch(tools: Tools) -> Metric:
    """KID by torch-fidelity's network; published KIDs compare only with the published weights."""
    return Metric(_measure(tools), functools.partial(_rename, combine_kid, "kid"), higher_is_better=False)


@functools.lru_cache(maxsize=1)
def load_lpips(weights: Path | None) -> Any:
    """Returns the network of LPIPS: float32 [B, 3, H, W] twice, in [-1, 1] -> [B, 1, 1, 1].

    Args:
      weights: torchvision's file of AlexNet; None downloads it.

    Raises:
      UserError: when a library is missing, when the weights cannot be downloaded, or for other weights.
    """
    library = _import("lpips")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The library calls torchvision in an old way.
        network = library.LPIPS(net="alex", pnet_rand=True, verbose=False)
    state = _read_state(weights, "lpips_weights", ALEXNET_URL)
    try:
        # The library keeps AlexNet's layers in slices, under the numbers that they have there.
        own = {name: state[f"features.{name.partition('.')[2]}"] for name in network.net.state_dict()}
        network.net.load_state_dict(own)
    except (KeyError, RuntimeError) as error:
        raise UserError(
            f"`lpips_weights={weights}` does not hold the weights of torchvision's AlexNet"
        ) from error
    return network


@functools.lru_cache(maxsize=1)
def _measure(tools: Tools) -> Any:
    # Both metrics get the same function, so that they share the features.
    if tools.label_side == "target":
        raise NotApplicableError(
            "fid_torch and kid_torch compare photos, and this model generates label maps"
        )
    network: Any = load_inception(tools.fid_torch_weights) if tools.loads_networks else _import(_FIDELITY)

    def extract(pictures: Pictures) -> np.ndarray:
        torch = _import("torch")
        with torch.no_grad():
            return network(torch.from_numpy(np.moveaxis(pictures, -1, 1).copy()))[0].numpy()

    return functools.partial(measure_features, extract)


def load_inception(weights: Path | None) -> "torch.nn.Module":
    """Returns torch-fidelity's InceptionV3: uint8 [B, 3, H, W] -> a tuple of float32 [B, 2048].

    Args:
      weights: torch-fidelity's file of its weights; None downloads it.

    Raises:
      UserError: when a library is missing, when the weights cannot be downloaded, or for other weights.
    """
    library = _import(_FIDELITY)
    file = weights or _download("fid_torch_weights", INCEPTION_URL)
    _read_state(file, "fid_torch_weights", INCEPTION_URL)  # Only tensors are read, from any file.
    try:
        return library.FeatureExtractorInceptionV3("inception", ["2048"], str(file))
    except RuntimeError as error:
        raise UserError(
            f"`fid_torch_weights={file}` does not hold the weights of torch-fidelity's InceptionV3"
        ) from error


def _distance(network: Any, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the LPIPS of float32 [B, H, W, 3] in [-1, 1], float32 [B]."""
    torch = _import("torch")
    with torch.no_grad():
        tensors = (torch.from_numpy(np.moveaxis(each, -1, 1).copy()) for each in (first, second))
        return network(*tensors).numpy().reshape(-1)


def _rename(combine: Any, name: str, features: Partials) -> Result:
    result = combine(features)
    return dataclasses.replace(result, scores={f"{name}_torch": result.scores[name]})


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"{error.name or name} is missing, which this metric needs: pip install 'tfpix2pix[metrics]'"
        ) from error


def _read_state(weights: Path | None, argument: str, url: str) -> Any:
    file = weights or _download(argument, url)
    if not file.is_file():
        raise UserError(f"`{argument}={file}`: there is no such file; it is that of {url}")
    try:
        return _import("torch").load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises various errors for other files.
        raise UserError(f"`{argument}={file}` is no file of weights of PyTorch") from error


def _download(argument: str, url: str) -> Path:
    """Returns the file in PyTorch's cache; torch compares it with the digest in its name."""
    hub = _import("torch.hub")
    file = Path(hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name
    if not file.is_file():
        warn(f"downloading {url} to {file}; `{argument}` takes a file instead")
        file.parent.mkdir(parents=True, exist_ok=True)
        digest = file.stem.rpartition("-")[2]
        try:
            hub.download_url_to_file(url, str(file), digest, progress=False)
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"{url} cannot be downloaded ({error}). Download it elsewhere, and give the file as "
                f"`{argument}`"
            ) from error
    return file
