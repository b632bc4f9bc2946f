"""`precision=auto`: a run chooses the precision that suits its machine when it starts, and keeps it."""

import dataclasses

from tfpix2pix.config.config import Config
from tfpix2pix.pipelines.base.processor import onednn_is_used, read_features

# These instructions of x86 multiply bfloat16 matrices, and the oneDNN kernels of TensorFlow use them. The
# names are those that Linux gives them.
CPU_FEATURES = {"avx512_bf16", "amx_bf16"}
# GPUs of NVIDIA multiply bfloat16 matrices from the Ampere generation on.
LEAST_COMPUTE_CAPABILITY = (8, 0)


def settle(config: Config, before: Config | None) -> Config:
    """Returns `config` with its precision decided.

    Args:
      config: the configuration that was asked for.
      before: the configuration with which the run began, whose precision stays; None for a
        new run.
    """
    if config.precision != "auto":
        return config
    return dataclasses.replace(config, precision=before.precision if before else choose_precision())


def choose_precision() -> str:
    """Returns `mixed_bfloat16` where the hardware multiplies bfloat16, else `float32`.

    Other CPUs emulate bfloat16, which is many times slower.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capabilities = [
            tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus
        ]
        fast = min(capabilities) >= LEAST_COMPUTE_CAPABILITY
    else:
        # Without oneDNN, bfloat16 is many times slower.
        fast = onednn_is_used() and bool(CPU_FEATURES.intersection(read_features()))
    return "mixed_bfloat16" if fast else "float32"
