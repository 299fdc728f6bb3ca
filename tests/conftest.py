"""What all tests share: threads, the hypothesis profile, which markers run, the awkward shapes."""

import os
from dataclasses import dataclass, replace

# before torch and numpy are imported: each worker of xdist has one core, and no screen
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pytest
import torch
from hypothesis import settings
from torch import Tensor

# the first call of a torch function takes a second, and the same examples come on every machine
settings.register_profile("stronglens", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("stronglens")

OWN_COMMAND = {
    "slow": "slow: make test, or pytest -m slow",
    "gpu": "needs CUDA: pytest -m gpu",
    "network": "leaves the machine: pytest -m network",
    "ray": "needs the ray extra: pytest -m ray",
    "browser": "needs chromium: pytest -m browser",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip marked tests, unless -m or the full name of a test asks for them."""
    has_gpu = torch.cuda.is_available()
    is_chosen = bool(config.option.markexpr) or any("::" in name for name in config.args)
    for item in items:
        for marker in item.iter_markers():
            if marker.name in OWN_COMMAND and not is_chosen:
                item.add_marker(pytest.mark.skip(reason=OWN_COMMAND[marker.name]))
            elif marker.name == "gpu" and not has_gpu:
                item.add_marker(pytest.mark.skip(reason="no CUDA device on this machine"))


@dataclass(frozen=True)
class ShapeCase:
    """One awkward set of sizes that every array function must get right."""

    name: str
    n: int = 3
    n_band: int = 2
    height: int = 21
    width: int = 34
    kernel_height: int = 5
    kernel_width: int = 5
    x_center: float = 0.0
    y_center: float = 0.0
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    has_nan_pixel: bool = False

    @property
    def numpy_dtype(self) -> type[np.floating]:
        """The dtype as numpy calls it."""
        return np.float64 if self.dtype is torch.float64 else np.float32

    def images(self, seed: int = 0) -> Tensor:
        """Return noise of this shape (n, band, y, x), with a NaN pixel if that is the case."""
        generator = torch.Generator().manual_seed(seed)
        shape = (self.n, self.n_band, self.height, self.width)
        images = torch.randn(shape, generator=generator, dtype=self.dtype)
        if self.has_nan_pixel and self.n:
            images[0, 0, self.height // 3, self.width // 4] = torch.nan
        return images.to(self.device)


PLAIN = ShapeCase("wide")
CASES = (
    PLAIN,
    replace(PLAIN, name="tall", height=34, width=21),
    replace(PLAIN, name="odd", height=25, width=25),
    replace(PLAIN, name="even", height=24, width=24),
    replace(PLAIN, name="kernel-not-square", kernel_height=3, kernel_width=9),
    replace(PLAIN, name="batch-of-one", n=1),
    replace(PLAIN, name="empty-batch", n=0),
    replace(PLAIN, name="one-band", n_band=1),
    replace(PLAIN, name="off-centre", x_center=0.37, y_center=-0.81),
    replace(PLAIN, name="float64", dtype=torch.float64),
    replace(PLAIN, name="nan-pixel", has_nan_pixel=True),
)


def _case_parameters() -> list[object]:
    cases: list[object] = [pytest.param(case, id=case.name) for case in CASES]
    on_gpu = replace(PLAIN, name="other-device", device="cuda")
    return [*cases, pytest.param(on_gpu, id=on_gpu.name, marks=pytest.mark.gpu)]


@pytest.fixture(params=_case_parameters())
def shape_case(request: pytest.FixtureRequest) -> ShapeCase:
    """Every awkward set of sizes in turn: not square, empty, off centre, float64, NaN, on a GPU."""
    return request.param


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """Make an empty folder the working directory, so that runs/ is written there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
