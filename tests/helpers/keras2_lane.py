"""What the lane of Keras 2 (`make test-keras2`) leaves out, and why; every other module runs there too.

With TFPIX2PIX_SHORT=1, as continuous integration sets it, SLOW is left out as well.
"""

import os

_WEB = "the pages and studies ask the translator, which is tested here"
_SERVING = "clients speak to a server, whatever wrote its SavedModel"
_FILES = "no network, and no TensorFlow but tf.io"
_STORES = "files of stores, whatever Keras there is"
_FORMATS = "--format=keras|tflite|onnx needs Keras 3; networks/keras_versions_test tests what is said here"
_ONCE = "about the repository, not about Keras: the main lane tests it"
_TORCH = "weights of the PyTorch reference become a checkpoint, which both lanes read"
_DATA = "tf.data and tf.io alone: the lane's trainings read the same pairs"
_TEXTS = "settings, flags, paths and tables, without a network"
_SCORES = "arithmetic of NumPy and TensorFlow; evaluate/evaluation_test scores a network here"
_AROUND = "the files and options around the translator, which translate/translator_test asks here"
_FOR_TIME = "left out for its time, as TFPIX2PIX_SHORT asks: "

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
SLOW = {
    "extending": "the recipes train what is tested here part by part",
    "train/windows": "the windows are cut by tf.data; train/training_test trains here",
    "train/origin": "weights are copied by the names that run/checkpoints_test reads here",
    "train/dry_run": "the command says what train/training_test does here",
    "networks/residual": "built of the layers of networks/layers; methods/pix2pixhd_golden runs them",
    **dict.fromkeys(
        (
            "boundaries",
            "export/features",
            "export/latent",
            "one_hot",
            "resize_method",
            "train/instance_features",
            "train/stages",
            "translate/encoded_features",
            "translate/latents",
        ),
        "their layers and steps are those of the golden tests, which run here",
    ),
    **dict.fromkeys(("pipelines/placing/pack", "interop/torch_hd"), _DATA),
    **dict.fromkeys(("benchmarks/spectrum", "benchmarks/variety", "docs", "web/gradio_app"), _ONCE),
    "train/own_parts": "the same loop as that of train/training_test",
    **dict.fromkeys(
        (
            "interop/torch_bicycle",
            "interop/torch_detection",
            "interop/torch_files",
            "interop/torch_reference",
            "interop/torch_weights",
        ),
        _TORCH,
    ),
    **dict.fromkeys(
        (
            "pipelines/batches",
            "pipelines/files/sources",
            "pipelines/synthetic/facades",
            "pipelines/files/cityscapes",
            "pipelines/files/image_files",
            "pipelines/files/image_headers",
            "pipelines/files/image_listing",
            "pipelines/files/keeping",
            "pipelines/files/kinds",
            "pipelines/files/layouts",
            "pipelines/files/matching",
            "pipelines/files/measuring",
            "pipelines/files/orientation",
            "pipelines/files/other_formats",
            "pipelines/files/pair_lists",
            "pipelines/files/value_warnings",
            "pipelines/labels/id_maps",
            "pipelines/placing/advice",
            "export/request_checks",
        ),
        _DATA,
    ),
    **dict.fromkeys(
        (
            "pipelines/depths",
            "pipelines/files/decoding",
            "pipelines/files/sizes_of_pairs",
            "pipelines/labels/palettes",
            "pipelines/tasks/drawings",
            "pipelines/tasks/lab",
            "pipelines/tasks/registry",
            "pipelines/tasks/tasks",
            "pipelines/tasks/transforms",
        ),
        _DATA,
    ),
    **dict.fromkeys(
        (
            "config/choices",
            "config/config",
            "pipelines/base/command_line",
            "pipelines/base/naming",
            "pipelines/base/paths",
            "pipelines/base/shell",
            "pipelines/base/staging",
            "pipelines/catalogue",
            "reproduce/paper_tables",
            "reproduce/verdicts",
        ),
        _TEXTS,
    ),
    **dict.fromkeys(
        (
            "evaluate/scale",
            "evaluate/statistics",
            "metrics/baseline",
            "metrics/diversity",
            "metrics/histograms",
            "metrics/image_quality",
            "metrics/segmentation_scores",
            "train/showcase",
        ),
        _SCORES,
    ),
    **dict.fromkeys(
        ("translate/formats", "translate/halves", "translate/job", "translate/kinds"),
        _AROUND,
    ),
    **dict.fromkeys(("web/contrast", "web/demo/kinds", "web/demo/origin"), _WEB),
    "export/kinds": "how tf.io reads a file in a graph; export/saved_model_test sends files here",
    "train/settings": "which settings a call asks for; train/training_test trains by them here",
    "meanings": "ids become colours in tf.data and in the servable, both tested here with colours",
    "serving/other_services": "clients speak to a server, whatever wrote its SavedModel",
    "evaluate/report": "a page in HTML",
    "early_failures": "commands that fail before they wait for TensorFlow",
    "main": "commands that are found by their names",
    "messages": "texts of the source, which the main lane reads",
    "run/next_commands": "commands that are printed, and called by the main lane",
    "web/demo/input": "the pages and studies ask the translator, which is tested here",
    "api": "the examples call what is tested here module by module",
    "exactness": "train/training_test resumes runs, methods/pix2pix_test compares processes bit for bit",
    "export/command": "the command around export/saved_model_test",
    "metrics/fcn/training": "the loop of train/training_test; network and evaluation are tested here",
    "train/validation": "scores of evaluate/evaluation_test, during a training",
    "train/multiworker": "train/replicas_test compares replicas in one process",
    "reproduce/grid": "runs of train and evaluate in a grid",
    "export/servable": "how TensorFlow loads a SavedModel; export/saved_model_test asks one in a new process",
    "train/tasks": "other data for the commands that are tested here with pairs",
    "train/command": "the command around train/training_test; networks/tfa_normalization_test calls it here",
    "translate/command": "the command around translate/translator_test",
    "train/callbacks": "callbacks of the loop that train/training_test runs here",
    "run/callbacks": "callbacks of the loop that train/training_test runs here",
    "train/given_data": "other data for the loop that train/training_test runs here",
    "pipelines/given": "arrays and datasets become pairs by tf.data alone",
    "train/precision": "the precision is chosen by the data, before Keras builds networks",
    "config/precision": "the precision is chosen by the processor, before Keras builds networks",
    "train/pretrained": "weights are copied by the names that run/checkpoints_test reads here",
    "interop/published": "downloads, whatever their files become",
    "run/workers": "what processes tell each other by TensorFlow's collectives",
    **dict.fromkeys(
        ("networks/filtering", "networks/scale", "networks/tiles"),
        "functions of TensorFlow around layers that networks/layers_test and the golden tests call here",
    ),
    "export/run": "what a run says of itself; export/saved_model_test exports here",
    "methods/mode_seeking": "a term of the loss, of tf ops, in the step of methods/pix2pix_test",
    "interop/hub": "uploads and downloads, whatever their files are",
    "train/lost_places": "what the disk and the terminal do to the loop of train/training_test",
    "run/threads": "numbers that a checkpoint keeps, and settings of TensorFlow",
    "run/addresses": "what clusters write into the environment",
    "metrics/scoring_share": "workers share a split by TensorFlow's collectives",
    "networks/convolutions": "functions of TensorFlow, which networks/layers_test calls through layers here",
    "study/signing": "codes that need neither a network nor TensorFlow",
    "pipelines/base/progress": "lines of text that need neither a network nor TensorFlow",
}
if os.environ.get("TFPIX2PIX_SHORT"):
    LEFT_OUT |= {module: _FOR_TIME + reason for module, reason in SLOW.items()}
