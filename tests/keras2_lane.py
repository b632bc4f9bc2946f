"""What the lane of Keras 2 (`make test-keras2`) leaves out, and why; every other module runs there too."""

_WEB = "the pages and studies ask the translator, which is tested here"
_SERVING = "clients speak to a server, whatever wrote its SavedModel"
_FILES = "no network, and no TensorFlow but tf.io"
_FORMATS = "--format=keras|tflite|onnx needs Keras 3; keras_versions_test tests what is said here"
_ONCE = "about the repository, not about Keras: the main lane tests it"
_TASKS = "other data for the commands that are tested here with pairs"
_TORCH = "weights of the PyTorch reference become a checkpoint, which both lanes read"
_GRID = "a grid of runs of train, evaluate and metrics.fcn, which are tested here"

# Module of tests -> reason.
LEFT_OUT = {
    **dict.fromkeys(("web_application", "web_demo", "web_demo_page", "web_limits"), _WEB),
    **dict.fromkeys(("study_application", "study_browser", "study_creation", "study_plan"), _WEB),
    **dict.fromkeys(("study_results", "study_statistics", "study_store"), _WEB),
    **dict.fromkeys(("serving_client", "serving_remote_model", "serving_retries", "serving_serve"), _SERVING),
    **dict.fromkeys(("archives", "combine", "downloads", "prepare"), _FILES),
    **dict.fromkeys(("interop_formats", "interop_portable"), _FORMATS),
    **dict.fromkeys(("benchmark_pipeline", "benchmarks", "notebook", "quickstart", "readme", "wheel"), _ONCE),
    **dict.fromkeys(("torch_detection", "torch_files", "torch_reference", "torch_weights"), _TORCH),
    "reproduce": _GRID,
    "tasks_run": _TASKS,
}
