"""`precision=auto`: the machine decides when a run begins, and the run remembers it."""

import json

import pytest
import tensorflow as tf

from tfpix2pix.config import precision
from tfpix2pix.config.config import make_config
from tfpix2pix.networks.build import build_generator
from tfpix2pix.pipelines.base import processor
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.run.folder import settle_config, write_config

X86 = "processor : 0\nflags\t\t: fpu avx512f {} sse\nflags\t\t: other\n"


@pytest.mark.parametrize(
    ("cpu_info", "chosen"),
    [
        (X86.format("avx512_bf16"), "mixed_bfloat16"),
        (X86.format("amx_bf16"), "mixed_bfloat16"),
        (X86.format("avx512vl"), "float32"),
        ("processor : 0\nFeatures\t: fp asimd bf16 i8mm\n", "float32"),
        ("", "float32"),
        (None, "float32"),
    ],
)
def test_cpu_decides(cpu_info, chosen, tmp_path, monkeypatch):
    file = tmp_path / "cpuinfo"
    if cpu_info is not None:
        file.write_text(cpu_info)
    monkeypatch.setattr(processor, "CPU_INFO", file)
    monkeypatch.delenv(processor.VARIABLE, raising=False)
    assert precision.choose_precision() == chosen


@pytest.mark.parametrize(("value", "chosen"), [("0", "float32"), ("1", "mixed_bfloat16")])
def test_without_onednn_bfloat16_is_slow(value, chosen, tmp_path, monkeypatch):
    file = tmp_path / "cpuinfo"
    file.write_text(X86.format("avx512_bf16"))
    monkeypatch.setattr(processor, "CPU_INFO", file)
    monkeypatch.setenv(processor.VARIABLE, value)
    assert precision.choose_precision() == chosen


@pytest.mark.parametrize(
    ("capability", "chosen"), [((7, 5), "float32"), ((8, 0), "mixed_bfloat16"), (None, "float32")]
)
def test_gpu_decides(capability, chosen, monkeypatch):
    details = {"compute_capability": capability} if capability else {}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU:0"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    assert precision.choose_precision() == chosen


def _settings(name: str):
    return make_config(dataset="tiny", image_size=32, depth=3, base_filters=2, precision=name)


def test_a_run_keeps_its_choice_on_other_hardware(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "choose_precision", lambda: "mixed_bfloat16")
    settled = settle_config(tmp_path, _settings("auto"))
    assert settled.precision == "mixed_bfloat16"
    write_config(tmp_path, settled, None)
    assert json.loads((tmp_path / "config.json").read_text())["config"]["precision"] == "mixed_bfloat16"
    monkeypatch.setattr(precision, "choose_precision", lambda: "float32")
    assert settle_config(tmp_path, _settings("auto")).precision == "mixed_bfloat16"
    with pytest.raises(UsageError, match="precision"):
        settle_config(tmp_path, _settings("float32"))


def test_what_was_asked_for_is_not_changed(tmp_path):
    for name in ("float32", "mixed_bfloat16", "mixed_float16"):
        assert settle_config(tmp_path, _settings(name)).precision == name


def test_networks_outside_of_a_run_are_plain():
    assert build_generator(_settings("auto")).get_layer("encoder_1_conv").compute_dtype == "float32"
