"""Synthetic tiles, targets and finders for the benchmarks of `scan`; nobody trained the finders."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from astropy.io import fits
from astropy.wcs import WCS

from stronglens.data.catalog import write_table
from stronglens.finders.finder import Finder, FinderFacts
from stronglens.finders.networks import InputShape, architecture_of, build_network
from stronglens.finders.normalise import SkyAsinh

SCALE, ZERO_POINT = 0.2, 30.0
PASSED = 0.01
"""Share of noise images that a finder's threshold lets pass."""


@dataclass(frozen=True)
class Job:
    """What a benchmark scans, and with what."""

    side: int
    """Side of a tile [pixel]."""
    n_tiles: int
    """Number of tiles."""
    per_tile: int
    """Targets on each."""
    bands: tuple[str, ...] = ("lsst-g", "lsst-r", "lsst-i", "lsst-z")
    """Bands of tiles and finder."""
    size: int = 45
    """Side of an image [pixel]."""
    network: str = "deck-cnn"
    """Network of the finder."""
    width: int | None = None
    """Channels of its first layer; its own by default."""

    @property
    def n_targets(self) -> int:
        """Number of targets."""
        return self.n_tiles * self.per_tile


def write_finder(path: Path, job: Job) -> Finder:
    """Write a finder whose threshold lets one in a hundred noise images pass."""
    torch.manual_seed(1)
    architecture = architecture_of(job.network)
    if job.width is not None:
        architecture = replace(architecture, width=job.width)
    shape = InputShape(len(job.bands), job.size, job.size)
    facts = FinderFacts(
        job.network, architecture, job.bands, job.size, job.size, SCALE, ZERO_POINT
    )  # fmt: skip
    finder = Finder(build_network(job.network, shape, architecture), SkyAsinh(), facts=facts)
    noise = (
        np.random.default_rng(4)
        .normal(0, 1, (2048, len(job.bands), job.size, job.size))
        .astype(np.float32)
    )
    threshold = float(np.quantile(finder.score(noise), 1 - PASSED))
    finder = finder.with_threshold(threshold)
    finder.save(path)
    return finder


def write_tiles(folder: Path, job: Job) -> list[Path]:
    """Write tiles of noise, each a folder with a file per band, a row in memory at a time."""
    return [_write_tile(folder / f"tile{k}", job, k) for k in range(job.n_tiles)]


def write_targets(path: Path, tiles: list[Path], job: Job) -> Path:
    """Write a table of random positions on all tiles, in no order, as a catalogue is."""
    rng = np.random.default_rng(2)
    places = []
    for tile in tiles:
        wcs = WCS(fits.getheader(next(iter(tile.glob("*.fits")))))
        x, y = rng.uniform(job.size, job.side - 1 - job.size, (2, job.per_tile))
        places.append(np.stack(wcs.all_pix2world(x, y, 0)))
    joined = np.concatenate(places, axis=1)
    ra, dec = joined[:, rng.permutation(joined.shape[1])]
    names = np.array([f"o{k}" for k in range(len(ra))], object)
    return write_table(path, {"object_id": names, "ra": ra, "dec": dec})


def _write_tile(folder: Path, job: Job, number: int) -> Path:
    folder.mkdir(parents=True)
    side = job.side
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "MAGZERO": ZERO_POINT})
    header.update(CRVAL1=10.0 + 3 * number, CRVAL2=2.0, CRPIX1=side / 2, CRPIX2=side / 2)
    header.update(CD1_1=-SCALE / 3600, CD2_2=SCALE / 3600)
    rng = np.random.default_rng(number)
    for band in job.bands:
        full = fits.PrimaryHDU(np.zeros((1, 1), np.float32), header).header
        full.update(NAXIS1=side, NAXIS2=side, FILTER=band)
        with (folder / f"{band[-1]}.fits").open("wb") as file:
            file.write(full.tostring().encode("ascii"))
            for _ in range(side):
                file.write(rng.standard_normal(side, np.float32).astype(">f4").tobytes())
            file.write(b"\0" * (-(side * side * 4) % 2880))
    return folder
