"""A real field from pixels to candidates: all its sources scanned, 200 lenses injected and sought.

.venv/bin/python benchmarks/bench_kids_field.py --finder ground-gri --out runs/kids

The KiDS field of ../shared/data/real comes without a WCS; it is given one of 0.30 arcsec/pixel at
an arbitrary place. No lens is known in it, so everything that passes is a false positive or news.
The finders for the ground were trained with galaxies of its columns before 1100: judge by the rest.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from stronglens.data.catalog import read_table
from stronglens.evaluation.metrics import binomial_estimate
from stronglens.scanning.recovery import recovered_fraction

FIELD = Path(__file__).parents[2] / "shared" / "data" / "real" / "kids_viking_field"
SCALE = 0.30
RATE = 1.95
"""Lenses per square arcmin: 200 in the field."""
LISTED = 20


def main() -> None:
    """Scan the field, and print the best of it and what was recovered of the injected lenses."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--field", type=Path, default=FIELD)
    options.add_argument("--finder", required=True, help="name, run directory or weights")
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--aside", type=int, default=1125, help="first column not trained on")
    options.add_argument("--inject", type=float, default=RATE, help="lenses per arcmin^2")
    given = options.parse_args()
    tile = with_wcs(given.field, given.out.with_name(f"{given.out.name}-tile") / "kids")
    command = [Path(sys.executable).with_name("stronglens"), "scan", tile, "--finder", given.finder]
    command += ["--out", given.out, "--kind", "tiles", "--inject", given.inject, "--top", LISTED]
    done = subprocess.run([str(word) for word in command], check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(done.returncode)
    print_best(given.out)
    print_passed(given.out, tile, given.aside)
    if given.inject:
        table = read_table(given.out / "recovery.parquet")
        print_recovery("all columns", table)
        is_aside = table["x_tile"] >= given.aside
        print_recovery(f"columns from {given.aside}", {k: v[is_aside] for k, v in table.items()})


def with_wcs(field: Path, folder: Path) -> Path:
    """Write the bands with a TAN WCS."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(field.glob("*.fits.fz")):
        band = path.name[0]
        pixels = fits.getdata(path, 1)
        height, width = pixels.shape
        header = fits.Header({"FILTER": f"kids-{band}", "MAGZERO": 27.5, "CTYPE1": "RA---TAN"})
        header.update(CTYPE2="DEC--TAN", CRVAL1=180.0, CRVAL2=0.0, CRPIX1=width / 2)
        header.update(CRPIX2=height / 2, CD1_1=-SCALE / 3600, CD2_2=SCALE / 3600)
        fits.writeto(folder / f"{band}.fits", pixels.astype(np.float32), header, overwrite=True)
    return folder


def print_best(out: Path) -> None:
    """Print how many have which status, and the best."""
    table = read_table(out / "candidates.parquet")
    statuses, counts = np.unique(table["status"].astype(str), return_counts=True)
    print(dict(zip(statuses.tolist(), counts.tolist(), strict=True)))
    print(f"{int(table['is_candidate'].sum())} candidates")
    for k in range(min(LISTED, len(table["score"]))):
        print(f"{k + 1:3d}  {table['object_id'][k]}  score {table['score'][k]:.4f}  "
              f"p_lens {table['p_lens'][k]:.2g}")  # fmt: skip


def print_passed(out: Path, tile: Path, aside: int) -> None:
    """Print how many of the field's own sources pass, on columns trained on and on others."""
    table = read_table(out / "candidates.parquet")
    wcs = WCS(fits.getheader(next(tile.glob("*.fits"))))
    x, _ = wcs.all_world2pix(table["ra"], table["dec"], 0)
    is_ok, passed = table["status"] == "ok", table["is_candidate"].astype(bool)
    for name, here in (("before", x < aside), ("from", x >= aside)):
        share = binomial_estimate(int((passed & is_ok & here).sum()), int((is_ok & here).sum()))
        print(f"columns {name} {aside}: {share} of {int((is_ok & here).sum())} sources pass")


def print_recovery(name: str, table: dict[str, np.ndarray]) -> None:
    """Print the recovered fraction against the Einstein radius, with 95 % intervals."""
    found = table["is_recovered"].astype(bool)
    print(f"{name}: {binomial_estimate(int(found.sum()), len(found))} of {len(found)} recovered")
    bins = recovered_fraction(table["theta_e"], found)
    for low, high, n, share, least, most in zip(*bins.values(), strict=True):
        print(f"theta_e {low:.2f}-{high:.2f} arcsec: {share:.2f} ({least:.2f}-{most:.2f}) of {n}")


if __name__ == "__main__":
    main()
