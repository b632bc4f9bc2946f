"""Takes models from the Hugging Face Hub, and brings runs there, with a README.md in the Hub's format.

It needs the extra `[hub]`. HF_ENDPOINT names another Hub, as for all of huggingface_hub.
"""

import importlib.util
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tfpix2pix
from tfpix2pix.export.model_card import describe_run
from tfpix2pix.export.names import HUB_ABOUT_FILE, HUB_GENERATOR_FILE, SAVED_MODEL_FILE
from tfpix2pix.networks.keras_versions import require_keras_3
from tfpix2pix.pipelines.base.errors import UsageError, UserError, shorten
from tfpix2pix.run.folder import CONFIG_FILE
from tfpix2pix.run.generator import load_generator

_NAME = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>refs/pr/\d+|[^/]+))?(/(?P<file>.+))?")
# What `from_pretrained` opens, from the first to the last choice.
_PATTERNS = ("*.keras", CONFIG_FILE, SAVED_MODEL_FILE, "*.safetensors", "*.npz", "*.pth", "*.pt")


def fetch_from_hub(source: str) -> Path:
    """Downloads a model of the Hub into the cache of huggingface_hub, which checks it.

    Args:
      source: `hf://user/repo`, `hf://user/repo@revision`, or `hf://user/repo/file`.

    Returns:
      The path of a `.keras` file, a run, a SavedModel or a file of the PyTorch reference.

    Raises:
      UsageError: if `source` is written in another way, or it is not clear which file is meant.
      UserError: if the package is missing, or the Hub does not have it or does not answer.
    """
    match = _NAME.fullmatch(source)
    if match is None:
        raise UsageError(f"a model of the Hub is hf://user/repo or hf://user/repo/FILE. Received: {source}")
    _require_package()
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(
                match["repo"],
                revision=match["revision"],
                endpoint=_endpoint(),
                cache_dir=os.environ.get("HF_HUB_CACHE"),
                allow_patterns=[f"{match['file']}*"] if match["file"] else None,
            )
        )
    except Exception as error:  # Its own errors, those of its HTTP client and of the disk.
        raise UserError(
            f"cannot download {_endpoint()}/{match['repo']}: {shorten(error)}. Ways out: for a private "
            "model, log in with hf auth login; without a network, take the files from where there is one, "
            f"with hf download {match['repo']}, and give the path of the folder or of the model's file"
        ) from error
    return folder / match["file"] if match["file"] else _find_model(folder, source)


def _find_model(folder: Path, source: str) -> Path:
    for pattern in _PATTERNS:
        found = sorted(folder.glob(pattern))
        if len(found) > 1:
            names = ", ".join(file.name for file in found)
            raise UsageError(f"{source} holds {names}: give one of them, such as {source}/{found[0].name}")
        if found:
            return folder if pattern in (CONFIG_FILE, SAVED_MODEL_FILE) else found[0]
    raise UserError(
        f"{source} holds no model that can be opened here: neither a .keras file, a run or a SavedModel, nor "
        f"a file of the PyTorch reference. It holds {', '.join(sorted(os.listdir(folder))) or 'nothing'}"
    )


def write_hub_folder(
    workdir: str | Path, folder: str | Path, repo_id: str = "USER/NAME", which: str | int = "latest"
) -> list[str]:
    """Writes what `push_to_hub` uploads: the generator, what is known of it, and a README.md.

    Args:
      workdir: folder of the run.
      folder: where the files are written.
      repo_id: what the README.md calls the model.
      which: the checkpoint: `latest`, `best` or a step.

    Returns:
      The names of the files.

    Raises:
      UsageError: if there is no such run or checkpoint.
      UserError: if Keras is of version 2, or the package is missing.
    """
    require_keras_3("a model for the Hub")
    _require_package()
    generator, config, step = load_generator(workdir, which)
    about = describe_run(Path(workdir), config, step)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    generator.save(folder / HUB_GENERATOR_FILE)
    (folder / HUB_ABOUT_FILE).write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    (folder / "README.md").write_text(_write_readme(about, config.image_size, repo_id), "utf-8")
    return [HUB_GENERATOR_FILE, HUB_ABOUT_FILE, "README.md"]


def push_to_hub(
    workdir: str | Path,
    repo_id: str,
    which: str | int = "latest",
    private: bool = False,
    token: str | None = None,
) -> str:
    """Uploads the generator of a run, with a README.md that the Hub shows as the model's card.

    Args:
      workdir: folder of the run.
      repo_id: `user/name`; it is made if there is none.
      which: the checkpoint: `latest`, `best` or a step.
      private: whether a new one can be seen by its owner alone.
      token: a token that may write; None takes the one of `hf auth login` or $HF_TOKEN.

    Returns:
      The address of the page.

    Raises:
      UsageError: if there is no such run or checkpoint.
      UserError: if Keras is of version 2, the package is missing, or the Hub refuses or does not answer.
    """
    _require_package()
    from huggingface_hub import HfApi

    with tempfile.TemporaryDirectory() as folder:
        write_hub_folder(workdir, folder, repo_id, which)
        api = HfApi(endpoint=_endpoint(), token=token)
        try:
            api.create_repo(repo_id, private=private, exist_ok=True)
            api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=f"tfpix2pix {which}")
        except Exception as error:  # Its own errors, and those of its HTTP client.
            raise UserError(
                f"cannot upload to {_endpoint()}/{repo_id}: {shorten(error)}. Ways out: log in with "
                "hf auth login or give a `token` that may write; without a network, write the files with "
                f"write_hub_folder, and upload them later with hf upload {repo_id} FOLDER"
            ) from error
    return f"{_endpoint()}/{repo_id}"


def _write_readme(about: Mapping[str, Any], image_size: tuple[int, int], repo_id: str) -> str:
    height, width = image_size
    config, scores = about["config"], about["scores"]["validation"]
    rows = [f"| {name} | {value:.4f} |" for name, value in scores.items()]
    table = "\n".join(["| validation score | value |", "|---|---|", *rows]) if rows else "It was not scored."
    return f"""---
{_write_metadata(about["dataset"], scores)}
---

# pix2pix, {about["dataset"]}

A `{config["generator"]}` generator for paired image-to-image translation, trained with tfpix2pix
{tfpix2pix.__version__} on `{about["dataset"]}`, {config["direction"]}, at {height}x{width} px, for
{about["step"]} steps.

```python
import tfpix2pix

generator = tfpix2pix.from_pretrained("hf://{repo_id}")
generated = generator(image)  # float32 [B, {height}, {width}, C] in [-1, 1]
```

{table}

`{HUB_ABOUT_FILE}` holds all settings. The author of the model states its licence, and that of its data.
"""


def _write_metadata(dataset: str, scores: Mapping[str, float]) -> str:
    """Returns what the Hub reads at the head of a README.md, in YAML."""
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="image-to-image",
            dataset_type=dataset,
            dataset_name=dataset,
            dataset_split="validation",
            metric_type=name,
            metric_value=float(value),
        )
        for name, value in scores.items()
    ]
    data = ModelCardData(
        library_name="keras",
        pipeline_tag="image-to-image",
        tags=["pix2pix", "tfpix2pix", "conditional-gan"],
        model_name=f"pix2pix {dataset}",
        eval_results=results or None,
    )
    return data.to_yaml()


def _require_package() -> None:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise UserError("models of the Hub need huggingface_hub: pip install 'tfpix2pix[hub]'")


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
