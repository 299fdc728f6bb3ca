"""The page of the truth table names every column there is, and no other."""

import re
from pathlib import Path

from stronglens.simulation.simulated_set import STACK
from stronglens.simulation.task import Simulate

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "truth.md"
PAINTED = {"has_real_deflector", "x_tile", "y_tile"}
"""Columns that only images painted on real ones have."""


def test_the_page_has_the_columns_of_a_set():
    bands = ("lsst-g", "lsst-i")
    task = Simulate(survey="lsst-y10", bands=bands, size=24, planes=False)
    truth = task.plan().draw(0, (STACK,))[STACK].truth
    columns = {name.replace(band, "<band>") for name in truth for band in bands if band in name}
    columns |= {name for name in truth if not name.endswith(bands)}
    text = PAGE.read_text().split("## The deck's set")[0]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    artefacts = re.findall(r"`(n_\w+)`", text)
    assert {*re.findall(r"`([\w<>]+)`", " ".join(rows)), *artefacts} == columns | PAINTED
