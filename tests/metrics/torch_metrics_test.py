"""LPIPS, and FID and KID of torch-fidelity's network, with random weights in files."""

import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.metrics import torch_metrics
from tfpix2pix.metrics.registry import Examples, NotApplicableError, Tools, build_metrics
from tfpix2pix.pipelines.base.errors import UserError


@pytest.fixture(scope="module")
def torch():
    for name in ("lpips", "torch_fidelity"):
        pytest.importorskip(name, reason="it comes with the extra [metrics]", exc_type=ImportError)
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def alexnet(torch, tmp_path_factory) -> Path:
    """A file as torchvision publishes it, with small random weights."""
    from torchvision.models import alexnet

    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "alexnet.pth"
    torch.save({name: value for name, value in alexnet().state_dict().items() if "features" in name}, file)
    return file


def _examples(generated: np.ndarray, target: np.ndarray, samples: int = 1) -> Examples:
    """Images of bytes as a batch; each sample after the first is a little brighter."""
    floats = tf.constant(generated, tf.float32) / 127.5 - 1
    return Examples(
        target_image=tf.constant(target, tf.float32) / 127.5 - 1,
        generated_samples=tf.stack([floats + 0.1 * number for number in range(samples)]),
        target_picture=target,
        generated_picture=generated,
    )


def _draw(seed: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, (count, 64, 48, 3)).astype(np.uint8)


def test_lpips_is_what_the_library_says_of_each_image(torch, alexnet):
    import lpips

    generated, target = _draw(0), _draw(1)
    target[1] = generated[1]
    metric = build_metrics(["lpips"], Tools(lpips_weights=alexnet))["lpips"]
    result = metric.combine(metric.measure(_examples(generated, target)))
    theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    state = torch.load(alexnet)
    for name, value in theirs.net.named_parameters():
        value.data = state["features." + name.split(".", 1)[1]]
    pictures = [torch.from_numpy(each).permute(0, 3, 1, 2) / 127.5 - 1 for each in (generated, target)]
    expected = theirs(*pictures).detach().numpy().reshape(-1)
    np.testing.assert_allclose(result.per_image["lpips"], expected, rtol=1e-4, atol=1e-6)
    assert expected[0] > 1e-3 and result.per_image["lpips"][1] == 0
    assert result.scores["lpips"] == pytest.approx(expected.mean(), rel=1e-4)


def test_lpips_diversity_is_the_mean_over_pairs_of_samples(alexnet):
    images = _draw(0)
    tools = Tools(lpips_weights=alexnet, samples_per_image=3)
    metric = build_metrics(["lpips_diversity"], tools)["lpips_diversity"]
    assert metric.samples == 3
    result = metric.combine(metric.measure(_examples(images, images, samples=3)))
    network = torch_metrics.load_lpips(alexnet)
    floats = images.astype(np.float32) / 127.5 - 1
    first, second, third = (np.clip(floats + 0.1 * number, -1, 1) for number in range(3))
    pairs = [(first, second), (first, third), (second, third)]
    expected = sum(torch_metrics._distance(network, *pair) for pair in pairs) / 3
    np.testing.assert_allclose(result.per_image["lpips_diversity"], expected, rtol=1e-3)
    assert expected.min() > 0
    with pytest.raises(NotApplicableError, match="give `samples_per_image=2`"):
        build_metrics(["lpips_diversity"], Tools(samples_per_image=1))


def test_fid_and_kid_are_of_the_features_of_torch_fidelity(torch, tmp_path):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    # The same layers, which their constructor fills from a file only.
    class Random(FeatureExtractorInceptionV3):
        def load_state_dict(self, state):
            pass

    torch.save({}, tmp_path / "none.pth")
    torch.manual_seed(0)
    network = Random("random", ["2048"], str(tmp_path / "none.pth"))
    torch.save(network.state_dict(), tmp_path / "inception.pth")
    tools = Tools(fid_torch_weights=tmp_path / "inception.pth")
    metrics = build_metrics(["fid_torch", "kid_torch"], tools)
    assert metrics["fid_torch"].measure is metrics["kid_torch"].measure
    generated, target = _draw(0, 3), _draw(1, 3) // 2
    features = metrics["fid_torch"].measure(_examples(generated, target))
    theirs = network(torch.from_numpy(target).permute(0, 3, 1, 2))[0].numpy()
    np.testing.assert_allclose(features["target"], theirs, rtol=1e-3, atol=1e-4)
    scores = {name: metric.combine(features).scores[name] for name, metric in metrics.items()}
    kinds = (torch.from_numpy(features[kind]) for kind in ("generated", "target"))
    statistics = [fid_features_to_statistics(each) for each in kinds]
    expected = fid_statistics_to_metric(*statistics, verbose=False)
    assert scores["fid_torch"] == pytest.approx(next(iter(expected.values())), rel=1e-3)
    assert scores["kid_torch"] != 0


def test_other_files_are_no_weights(torch, tmp_path):
    torch.save({"features.0.weight": torch.zeros(2)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    for name, argument in (("lpips", "lpips_weights"), ("fid_torch", "fid_torch_weights")):
        for file, text in (
            ("other", "does not hold"),
            ("text", "is no file of weights"),
            ("none", "no such file"),
        ):
            with pytest.raises(UserError, match=f"`{argument}=.*{file}.pth`.* {text}"):
                build_metrics([name], Tools(**{argument: tmp_path / f"{file}.pth"}))


def test_without_a_network_the_message_names_the_address_and_the_way_out(torch, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch_metrics, "ALEXNET_URL", "http://127.0.0.1:9/alexnet-owt-7be5be79.pth")
    torch_metrics.load_lpips.cache_clear()
    text = r"127.0.0.1:9/alexnet-owt-7be5be79.pth cannot be downloaded .*refused.* as `lpips_weights`"
    with pytest.raises(UserError, match=text):
        build_metrics(["lpips"], Tools())
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_without_the_extra_the_message_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    torch_metrics.load_lpips.cache_clear()
    text = r"lpips is missing, which this metric needs: pip install 'tfpix2pix\[metrics\]'"
    with pytest.raises(UserError, match=text):
        build_metrics(["lpips"], Tools())
