"""The inner loops of the fast path in C++, for machines that have a compiler.

They are built once per machine, in a few seconds; without them the same is done in torch, slower.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.errors import MissingDataError
from stronglens.simulation.scene_tables import PackedScenes, SceneCanvas, SceneFrame

_SOURCES = tuple(Path(__file__).with_name(name) for name in ("kernels.cpp", "scene_kernels.cpp"))
_FLAGS = ("-std=c++17", "-O3", "-shared", "-fPIC", "-fno-math-errno", "-fno-trapping-math")
# In order: what not every compiler or processor knows comes first and may fail.
_TUNINGS = (("-march=native", "-mprefer-vector-width=512"), ("-march=native",), ())


@dataclass(frozen=True)
class Kernels:
    """The compiled functions; tensors are float32, contiguous and on the CPU."""

    library: ctypes.CDLL
    """What was built."""

    def trace_sources(
        self,
        table: Float[Tensor, "batch constant"],
        axes: tuple[Float[Tensor, " x"], Float[Tensor, " y"]],
        core: Float[Tensor, " batch"],
        n_parts: int,
        light: Float[Tensor, "batch y x"],
    ) -> None:
        """Write the brightness of lensed sources, as `fast_source.trace_source` gives it.

        Args:
            table: What `RayConstants.table` returned.
            axes: Positions of columns and rows, evenly spaced [arcsec].
            core: Brightness above which a ray stands for the mean over its cell.
            n_parts: Parts along the side of such a cell [-].
            light: Where the brightness goes.
        """
        x, y = axes
        # 3 (2 + 2 n) coefficients of lines, 2 of the lens and 7 n
        n_components = (table.shape[1] - 8) // 13
        cell = float(x[1] - x[0]) if len(x) > 1 else float(y[1] - y[0])
        self.library.trace_sources(
            *(_pointer(table), _integer(len(table)), _integer(n_components)),
            *(_pointer(x), _integer(len(x)), _pointer(y), _integer(len(y))),
            *(_pointer(core), _integer(n_parts), ctypes.c_float(cell), _pointer(light)),
        )

    def draw_gaussians(
        self,
        exponent: Float[Tensor, "batch gaussian 6"],
        peak: Float[Tensor, "batch gaussian"],
        axes: tuple[Float[Tensor, " x"], Float[Tensor, " y"]],
        image: Float[Tensor, "batch y x"],
    ) -> None:
        """Write sums of Gaussians, as `gaussian_light.draw_gaussians` gives them.

        Args:
            exponent: Coefficients of x^2, x y, y^2, x, y and one.
            peak: Their values at the centre.
            axes: Positions of columns and rows [arcsec].
            image: Where the sums go.
        """
        x, y = axes
        self.library.draw_gaussians(
            *(_pointer(exponent), _pointer(peak), *(_integer(n) for n in peak.shape)),
            *(_pointer(x), _integer(len(x)), _pointer(y), _integer(len(y)), _pointer(image)),
        )

    def draw_scenes(self, scenes: PackedScenes, frame: SceneFrame, canvas: SceneCanvas) -> None:
        """Draw scenes, as `fast_scene` does it without a compiler.

        Args:
            scenes: Light and masses of the images.
            frame: Size of the oversampled frame and how far it is thinned out.
            canvas: Where it goes.
        """
        width = 0 if scenes.masses is None else scenes.masses.shape[1]
        sizes = torch.tensor([frame.height, frame.width, frame.thinning, scenes.n_bands, width])
        own = (scenes.components, scenes.fluxes, scenes.starts, scenes.masses, scenes.mass_starts)
        self.library.draw_scenes(
            *(_optional(tensor) for tensor in own),
            *(_integer(len(scenes.starts) - 1), _pointer(sizes), ctypes.c_float(frame.scale)),
            *(_optional(canvas.keep), _integer(canvas.keep_band), _optional(canvas.kept)),
            *(_pointer(canvas.totals), _pointer(canvas.planes)),
        )


def has_compiler() -> bool:
    """Say whether the kernels can be built here."""
    return _compiler() is not None


@lru_cache(maxsize=1)
def build_kernels() -> Kernels:
    """Build the kernels, or load those of an earlier process.

    Returns:
        The kernels.

    Raises:
        MissingDataError: There is no C++ compiler, or it cannot build them.
    """
    compiler = _compiler()
    if compiler is None:
        raise MissingDataError(
            "compiled=True needs a C++ compiler, and c++, g++ and clang++ are not on the PATH. "
            "Install one, or pass compiled=False: slower, the same pictures."
        )
    message = ""
    with _library_folder() as folder:
        for tuning in _TUNINGS:
            library = folder / f"kernels-{_fingerprint(compiler, tuning)}.so"
            message = "" if library.is_file() else _built(library, compiler, tuning)
            if not message:
                return Kernels(ctypes.CDLL(str(library)))
    raise MissingDataError(
        f"{compiler} cannot build {_SOURCES[0].name}: {message[-300:]} Use g++ 11 or clang++ 9 or "
        "newer, or pass compiled=False."
    )


def _built(library: Path, compiler: str, tuning: tuple[str, ...]) -> str:
    """Build a library; return what went wrong, or "" where it is there now."""
    unfinished = library.with_name(f"{library.name}.{os.getpid()}")
    command = [compiler, *_FLAGS, *tuning, *map(str, _SOURCES), "-o", str(unfinished)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        return result.stderr.strip() or f"exit status {result.returncode}"
    # several processes may build it at once: each puts a whole one in place
    unfinished.replace(library)
    return ""


def _fingerprint(compiler: str, tuning: tuple[str, ...]) -> str:
    """Name of what a library was built from, with what, and for which processor."""
    folder = Path(__file__).parent
    parts = [path.read_bytes() for path in sorted([*folder.glob("*.cpp"), *folder.glob("*.h")])]
    parts += [" ".join((compiler, *_FLAGS, *tuning)).encode(), _processor().encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _processor() -> str:
    """What the code is made for: a home folder may be shared by machines of several kinds."""
    listed = Path("/proc/cpuinfo")
    if not listed.is_file():
        return f"{platform.machine()} {platform.processor()} {platform.node()}"
    lines = listed.read_text(encoding="utf-8", errors="replace").splitlines()
    return "".join(sorted({x for x in lines if x.startswith(("model name", "flags", "Features"))}))


@contextmanager
def _library_folder() -> Iterator[Path]:
    """Folder that keeps libraries for the next process, or one for now where that is not allowed.

    A library stays loaded after its file has gone.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    kept = Path(home) / "stronglens"
    try:
        kept.mkdir(parents=True, exist_ok=True)
    except OSError:
        kept = Path()
    if kept != Path() and os.access(kept, os.W_OK):
        yield kept
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def fits_kernels(tensor: Tensor) -> bool:
    """Say whether the kernels work on such tensors.

    Args:
        tensor: Any parameter of the scenes.
    """
    return tensor.dtype is torch.float32 and not tensor.is_cuda


def _compiler() -> str | None:
    names = (os.environ.get("CXX", ""), "c++", "g++", "clang++")
    return next((found for name in names if name and (found := shutil.which(name))), None)


def _integer(value: int) -> ctypes.c_int64:
    return ctypes.c_int64(value)


def _optional(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None) if tensor is None else _pointer(tensor)


def _pointer(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())
