"""Every command that the guide gives for a folder of real files does what the guide says."""

import shlex
from pathlib import Path

import numpy as np
import pytest

from stronglens.cli.main import main
from stronglens.data.catalog import read_table
from stronglens.data.store import open_dataset

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "real"
GUIDE = ROOT / "docs" / "guides" / "your_files.md"
LINES = GUIDE.read_text().splitlines()
COMMANDS = [line for line in LINES if line.startswith("stronglens fetch") and "real/" in line]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not REAL.is_dir(),
        reason="no folder of real images beside the repository (../shared/data/real)",
    ),
]


def _name(command):
    return shlex.split(command)[-1].rpartition("/")[2]


@pytest.mark.parametrize("command", COMMANDS, ids=_name)
def test_command_of_the_guide_opens_real_files(command, empty_folder, capsys):
    words = [word.replace("real/", f"{REAL}/", 1) for word in shlex.split(command)]
    if not any(list(REAL.glob(word.removeprefix(f"{REAL}/"))) for word in words[2:3]):
        pytest.skip(f"{words[2]} is not among the real images here")
    assert main(words[1:]) == 0, capsys.readouterr()
    out = empty_folder / words[-1]
    grid = sorted(path.name for path in (out / "images.zarr").iterdir())[0]
    dataset = open_dataset(out, grid)
    objects = read_table(out / "objects.parquet")
    assert (objects["status"] == "ok").sum() == dataset.n > 0
    assert "failed" not in objects["status"]
    flux = dataset.images(slice(None)).flux
    assert np.isfinite(flux).all()
    assert (np.ptp(flux, axis=(2, 3)) > 0).all()
    if "--labels" in words:
        assert np.isfinite(dataset.column("label")).all()


def test_every_folder_of_real_files_has_a_command():
    folders = {path.name for path in REAL.iterdir() if path.is_dir()}
    named = {shlex.split(command)[2].split("/")[1] for command in COMMANDS}
    assert folders <= named
