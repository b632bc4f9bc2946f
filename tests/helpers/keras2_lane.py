"""What the lane of Keras 2 (`make test-keras2`) leaves out, and why; every other module runs there too.

With TFPIX2PIX_SHORT=1, as continuous integration sets it, SLOW is left out as well.
"""

import os

_WEB = "the pages and studies ask the translator, which is tested here"
_SERVING = "clients speak to a server, whatever wrote its SavedModel"
_FILES = "no network, and no TensorFlow but tf.io"
_FORMATS = "--format=keras|tflite|onnx needs Keras 3; keras_versions_test tests what is said here"
_ONCE = "about the repository, not about Keras: the main lane tests it"
_TORCH = "weights of the PyTorch reference become a checkpoint, which both lanes read"
_DATA = "tf.data and tf.io alone: the lane's trainings read the same pairs"
_FOR_TIME = "left out for its time, as TFPIX2PIX_SHORT asks: "

# Module of tests -> reason.
LEFT_OUT = {
    **dict.fromkeys(("web_application", "web_demo", "web_demo_page", "web_limits"), _WEB),
    **dict.fromkeys(("study_application", "study_browser", "study_creation", "study_plan"), _WEB),
    **dict.fromkeys(("study_results", "study_statistics", "study_store"), _WEB),
    **dict.fromkeys(("serving_client", "serving_remote_model", "serving_retries", "serving_serve"), _SERVING),
    **dict.fromkeys(("archives", "combine", "downloads", "prepare"), _FILES),
    **dict.fromkeys(("interop_formats", "interop_portable"), _FORMATS),
    **dict.fromkeys(("benchmark_pipeline", "benchmarks", "notebook", "quickstart", "readme", "wheel"), _ONCE),
}
SLOW = {
    **dict.fromkeys(("torch_detection", "torch_files", "torch_reference", "torch_weights"), _TORCH),
    **dict.fromkeys(("pairs", "sources", "synthetic", "image_files", "request_checks"), _DATA),
    "api": "the examples call what is tested here module by module",
    "exactness": "loop_test resumes runs here, and step_test compares processes bit for bit",
    "export": "the command around saved_model_test",
    "fcn_training": "the same loop as that of loop_test; fcn_network and evaluation are tested here",
    "judge": "scores of evaluation_test, during a training",
    "multiworker": "replicas_test compares replicas in one process",
    "reproduce": "runs of train and evaluate in a grid",
    "servable": "how TensorFlow loads a SavedModel; saved_model_test asks one in a fresh process",
    "tasks_run": "other data for the commands that are tested here with pairs",
    "train": "the command around loop_test; addons_test calls it here",
    "translate": "the command around translation_test",
}
if os.environ.get("TFPIX2PIX_SHORT"):
    LEFT_OUT |= {module: _FOR_TIME + reason for module, reason in SLOW.items()}
