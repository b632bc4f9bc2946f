"""Reads and writes state dicts, as NumPy arrays by name, in the formats of PyTorch, NumPy and safetensors."""

import importlib.util
import io
import pickle
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfpix2pix.pipelines.base import staging
from tfpix2pix.pipelines.base.errors import UsageError, UserError

# Suffix -> the package that it needs, which is in the extra `torch`; None where NumPy is enough.
PACKAGES = {".pth": "torch", ".pt": "torch", ".npz": None, ".safetensors": "safetensors"}
# The files of torch.save begin like this: archives, and before PyTorch 1.6 pickles.
_TORCH_STARTS = (b"PK\x03\x04", b"\x80")
# The readers raise these for files that are cut short, altered, or of another kind.
_UNREADABLE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
)

State = dict[str, np.ndarray]


def check_readable(path: Path) -> None:
    """Checks that a file exists, its suffix is known, and the package to read it is installed.

    Raises:
      UsageError: if the suffix is another one, or there is no such file.
      UserError: if the package is missing; the message names the extra.
    """
    _check_suffix(path)
    _check_is_there(path)
    _check_package(
        path,
        "Or where it is, write "
        f"numpy.savez('{path.stem}.npz', **{{name: value.numpy() for name, value in state_dict.items()}})",
    )


def check_writable(path: Path) -> None:
    """Checks that a file does not exist, its suffix is known, and the package to write it is installed.

    Raises:
      UsageError: if the suffix is another one, or the file exists already.
      UserError: if the package is missing; the message names the extra.
    """
    _check_suffix(path)
    _check_is_free(path)
    _check_package(path, f"Or take the name {path.stem}.npz, which needs nothing")


def check_array(path: Path, written: bool) -> None:
    """Checks a file of clusters of features, which is no state dict but a .npy file.

    Args:
      path: the file.
      written: whether it is to be written, so that it must not exist; else it must.

    Raises:
      UsageError: if the suffix is another one, or the file is missing or there already.
    """
    if path.suffix != ".npy":
        raise UsageError(
            "clusters of features are a file .npy, as encode_features.py of pix2pixHD writes it. "
            f"Received: {path}"
        )
    (_check_is_free if written else _check_is_there)(path)


def _check_is_there(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"there is no file {path}")


def _check_is_free(path: Path) -> None:
    if path.exists():
        raise UsageError(f"{path} is there already: choose another name")


def _check_suffix(path: Path) -> None:
    if path.suffix not in PACKAGES:
        raise UsageError(f"state dicts are files {', '.join(PACKAGES)}. Received: {path}")


def _check_package(path: Path, remedy: str) -> None:
    package = PACKAGES[path.suffix]
    if package and importlib.util.find_spec(package) is None:
        raise UserError(f"{path.suffix} files need {package}: pip install 'tfpix2pix[torch]'. {remedy}")


def read_state(path: Path) -> State:
    """Reads a state dict.

    Nothing in the file is executed: `.pth` is read by PyTorch's `weights_only=True`.

    Args:
      path: `.pth`, `.pt`, `.npz` or `.safetensors`.

    Returns:
      Name -> value; floating point values are float32.

    Raises:
      UsageError: if the suffix is another one, or there is no such file.
      UserError: if the package is missing, or the file does not hold a state dict.
    """
    check_readable(path)
    read = {".npz": _read_npz, ".safetensors": _read_safetensors}.get(path.suffix, _read_torch)
    try:
        return {
            name: value if value.dtype.kind in "biu" else value.astype(np.float32)
            for name, value in read(path).items()
        }
    except (*_UNREADABLE, OSError) as error:
        if isinstance(error, OSError) and error.filename:
            raise  # This is an error of the disk, and it names the file.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise UserError(
            f"{path} cannot be read as a {path.suffix} state dict ({reason[:200]}); "
            "expected what torch.save(net.state_dict(), path) writes, or the same tensors in another format"
        ) from error


def write_state(path: Path, state: Mapping[str, np.ndarray]) -> None:
    """Writes a state dict. The file appears whole or not at all, and does not replace another one.

    Args:
      path: `.pth`, `.pt`, `.npz` or `.safetensors`.
      state: name -> value.

    Raises:
      UsageError: if the suffix is another one, or the file exists already.
      UserError: if the package is missing, or the file cannot be written.
    """
    check_writable(path)
    # PyTorch and safetensors share memory with the arrays, which must therefore be contiguous.
    values = {name: value.copy(order="C") for name, value in state.items()}
    buffer = io.BytesIO()
    if path.suffix == ".npz":
        np.savez(buffer, **values)
    elif path.suffix == ".safetensors":
        from safetensors.numpy import save

        buffer.write(save(values))
    else:
        import torch

        torch.save({name: torch.from_numpy(value) for name, value in values.items()}, buffer)
    try:
        staging.write_file(path, buffer.getvalue())
    except OSError as error:
        raise UserError(f"{path} could not be written: {error.strerror}") from error


def _read_npz(path: Path) -> State:
    with zipfile.ZipFile(path):  # NumPy says of any other file that it holds pickles
        pass
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def _read_safetensors(path: Path) -> State:
    import ml_dtypes  # noqa: F401, it tells NumPy of bfloat16
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(error) from error


def _read_torch(path: Path) -> State:
    import torch

    with open(path, "rb") as file:
        start = file.read(32)
    if not start.startswith(_TORCH_STARTS):
        raise ValueError(f"PyTorch does not write such files: it begins with {start!r}")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's own text is about switching its protection off.
        is_more = "Unsupported global" in str(error)
        raise ValueError("it holds more, such as a whole network" if is_more else "damaged") from error
    if not isinstance(loaded, Mapping):
        raise TypeError(f"it holds a {type(loaded).__name__}")
    if not all(isinstance(name, str) for name in loaded):
        raise TypeError("its keys are not names")
    others = [str(name) for name, value in loaded.items() if not isinstance(value, torch.Tensor)]
    if others:
        raise TypeError(f"besides tensors it holds {', '.join(others[:5])}")
    return {name: _as_array(value) for name, value in loaded.items()}


def _as_array(tensor) -> np.ndarray:
    # NumPy has no bfloat16.
    return (tensor.float() if tensor.is_floating_point() else tensor).detach().numpy()
