"""The wheel holds all that the package needs, and works where there is nothing else of it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
NOT_CODE = {".py", ".pyc"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel with the tools of this environment, without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    (path,) = folder.glob("stronglens-*.whl")
    return path


@pytest.mark.slow
def test_wheel_holds_every_file_of_the_package(wheel):
    source = ROOT / "src"
    wanted = {
        path.relative_to(source).as_posix()
        for path in (source / "stronglens").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = set(zipfile.ZipFile(wheel).namelist())
    assert wanted <= held
    assert "stronglens/py.typed" in held
    assert any(name.endswith("licenses/LICENSE") for name in held)


@pytest.mark.slow
def test_wheel_is_imported_and_says_its_version(wheel, tmp_path):
    target = tmp_path / "target"
    subprocess.run([*PIP, "install", "--no-deps", "--target", str(target), str(wheel)], check=True)
    code = (
        "import stronglens as sl, pathlib; print(pathlib.Path(sl.__file__).parents[1]);"
        "print(sl.__version__); print(sl.survey('lsst-deck').name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    where, version, survey = done.stdout.split()
    assert Path(where) == target
    assert f"stronglens-{version}-" in wheel.name
    assert survey == "lsst-deck"


@pytest.mark.slow
def test_wheel_is_small(wheel):
    assert wheel.stat().st_size < 50_000_000
