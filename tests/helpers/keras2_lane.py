"""What the lane of Keras 2 (`make test-keras2`) leaves out, and why; every other module runs there too.

With TFPIX2PIX_SHORT=1, as continuous integration sets it, only CORE runs.
"""

import os

_WEB = "the pages and studies ask the translator, which is tested here"
_SERVING = "clients speak to a server, whatever wrote its SavedModel"
_FILES = "no network, and no TensorFlow but tf.io"
_STORES = "files of stores, whatever Keras there is"
_FORMATS = "--format=keras|tflite|onnx needs Keras 3; networks/keras_versions_test tests what is said here"
_ONCE = "about the repository, not about Keras: the main lane tests it"

# Path of a module of tests, below tests/ and without _test.py -> why it is left out.
LEFT_OUT = {
    **dict.fromkeys(
        ("web/application", "web/connections", "web/demo/demo", "web/demo/instances", "web/demo/page"), _WEB
    ),
    **dict.fromkeys(("web/demo/styles", "web/limits"), _WEB),
    **dict.fromkeys(("study/application", "study/browser", "study/creation", "study/plan"), _WEB),
    **dict.fromkeys(("study/results/write", "study/results/statistics", "study/store"), _WEB),
    **dict.fromkeys(("study/results/preference", "study/texts"), _WEB),
    **dict.fromkeys(
        ("serving/client", "serving/instances", "serving/remote_model", "serving/retries", "serving/serve"),
        _SERVING,
    ),
    **dict.fromkeys(
        (
            "pipelines/placing/archives",
            "pipelines/placing/combine",
            "pipelines/placing/downloads",
            "pipelines/prepare",
        ),
        _FILES,
    ),
    **dict.fromkeys(
        (
            "export/remote",
            "pipelines/placing/remote_datasets",
            "pipelines/remote/store",
            "run/remote_workdir",
            "train/remote",
            "translate/remote",
            "translate/shards",
        ),
        _STORES,
    ),
    **dict.fromkeys(
        ("export/files/export_file", "export/files/portable", "export/files/rebuilt_noise"), _FORMATS
    ),
    **dict.fromkeys(("cluster/train", "cluster/translate"), "Ray starts commands that are tested here"),
    "run/addresses": "host names in variables, and a training that train/training_test does here",
    **dict.fromkeys(
        (
            "benchmarks/pipeline",
            "benchmarks/benchmarks",
            "benchmarks/quality",
            "imports",
            "notebook",
            "quickstart",
            "readme",
            "sizes",
            "wheel",
        ),
        _ONCE,
    ),
}
# What the short lane runs: what is built of Keras, a training, an export, and what opens them again.
CORE = {
    *("export/saved_model", "lanes", "old_files", "run/checkpoints", "train/training"),
    *("methods/bicyclegan_golden", "methods/golden", "methods/losses", "methods/optimizers"),
    *("methods/pix2pix", "methods/pix2pixhd_golden", "metrics/fcn/network"),
    *("model/callbacks", "model/pix2pix", "translate/translator"),
    *("networks/build", "networks/conformance", "networks/discriminators", "networks/generators"),
    *("networks/instance_features", "networks/keras_versions", "networks/latent", "networks/layers"),
    *("networks/registration", "networks/tfa_normalization", "networks/vgg"),
}


def reason_to_leave_out(module: str) -> str | None:
    """Returns why the lane leaves out a module of tests, named as in LEFT_OUT; None if it runs there."""
    if module not in LEFT_OUT and os.environ.get("TFPIX2PIX_SHORT") and module not in CORE:
        return "left out for its time, as TFPIX2PIX_SHORT asks"
    return LEFT_OUT.get(module)
