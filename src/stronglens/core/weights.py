"""Weights with the settings that made them, in one safetensors file; the only reader of weights.

Checkpoints that serve only to resume a training belong to `training`, not here.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stronglens.core.errors import MissingDataError, UnreadableFileError
from stronglens.core.files import atomic_path
from stronglens.core.rundir import check_finished

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "weights.safetensors"
"""Name of the weights in the run directory that made them."""
_HEADER = "stronglens"


def save_weights(path: Path, tensors: "dict[str, Tensor]", settings: dict[str, Any]) -> None:
    """Write tensors and settings so that a killed process leaves the old file or the new one.

    Args:
        path: The file to write, ending in .safetensors.
        tensors: Named tensors, on any device.
        settings: What made them, as plain JSON values.
    """
    from safetensors.torch import save_file

    header = {_HEADER: json.dumps(settings, sort_keys=True)}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(plain, temporary, metadata=header)
        temporary.chmod(0o644)


def load_weights(path: Path) -> "tuple[dict[str, Tensor], dict[str, Any]]":
    """Read tensors and the settings that made them.

    Args:
        path: A file written by `save_weights`.

    Returns:
        The named tensors on the CPU, and the settings.

    Raises:
        MissingDataError: There is no such file.
        UnreadableFileError: The file is corrupted, truncated or not of this kind.
    """
    return _read(path, with_tensors=True)


def load_settings(path: Path) -> dict[str, Any]:
    """Read the settings alone, which is quick however large the weights are.

    Raises:
        MissingDataError: There is no such file.
        UnreadableFileError: The file is corrupted, truncated or not of this kind.
    """
    return _read(path, with_tensors=False)[1]


def weights_file(path: Path, kind: str, verb: str) -> Path:
    """File of weights that a path means: itself, or that of a run directory.

    Args:
        path: A .safetensors file, or the run directory of a training.
        kind: What the weights are, for messages.
        verb: Command that writes such weights, for messages.

    Raises:
        MissingDataError: There is nothing at `path`, or a directory without weights.
        InterruptedRunError: The training there has not finished.
    """
    if not path.exists():
        raise MissingDataError(
            f"no {kind} at {path}. Pass a run directory of stronglens {verb} or its {WEIGHTS}."
        )
    if path.is_file():
        return path
    if (path / "status.json").is_file():
        check_finished(path)
    if not (path / WEIGHTS).is_file():
        raise MissingDataError(
            f"{path} holds no {WEIGHTS}. Pass a run directory of stronglens {verb}."
        )
    return path / WEIGHTS


def _read(path: Path, *, with_tensors: bool) -> "tuple[dict[str, Tensor], dict[str, Any]]":
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise MissingDataError(
            f"no weights at {path}. Pass a run directory or a .safetensors file."
        )
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(_HEADER)
            names = file.keys() if with_tensors else ()
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise UnreadableFileError(
            f"weights {path} cannot be read ({error}). Allowed: a complete .safetensors file "
            "written by stronglens. Copy it again, or train anew."
        ) from error
    if header is None:
        raise UnreadableFileError(
            f"weights {path} carry no stronglens settings, so their network is unknown. "
            "Pass a file written by stronglens train."
        )
    return tensors, json.loads(header)
