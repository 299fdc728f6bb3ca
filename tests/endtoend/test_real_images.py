"""Every real FITS cutout kept beside the project is read, and scanned or refused with a reason."""

import math
from pathlib import Path

import numpy as np
import pytest
from fits_toys import finder

from stronglens.data.catalog import read_table
from stronglens.data.filters import wavelength
from stronglens.data.fits import read_cutouts
from stronglens.data.inputs import list_inputs
from stronglens.scanning.task import Scan

REAL = Path(__file__).parents[3] / "shared" / "data" / "real"

pytestmark = pytest.mark.skipif(
    not REAL.is_dir(), reason="no folder of real images beside the repository (../shared/data/real)"
)

INPUTS = list_inputs([REAL]) if REAL.is_dir() else []

# pixel scale [arcsec], zero point, filters that must be there; NaN where the files do not say
KNOWN = {
    "cfhtls_lenses/HumVI_CFHTLS-test": (0.186, 30.0, "cfhtls-g cfhtls-i cfhtls-r"),
    "cfhtls_lenses/SL2SJ021411-040502": (0.186, math.nan, "cfhtls-u cfhtls-g cfhtls-z"),
    "cfhtls_lenses/W3+3-2_12907_13034": (0.1857, 30.0, "cfhtls-g cfhtls-i cfhtls-i2"),
    "decals_galaxies/decals_spiral.fits": (0.1302, 22.5, "legacy-g legacy-r legacy-z"),
    "euclid_q1_lenses/EUCLJ174517.55+655612.5.fits": (0.1, 30.0, "hsc-g euclid-vis euclid-h"),
    "holismokes_ix_hsc_mocks/lens_1.fits": (math.nan, math.nan, "hsc-g hsc-r hsc-i hsc-z"),
    "hsc_cosmos_blends/Cut_HSC.fits": (0.168, math.nan, "hsc-g hsc-r hsc-i hsc-z hsc-y"),
    "hst_jwst_lenses/COSMOS-Web-ring/F150W": (0.03, math.nan, "jwst-f150w"),
    "hst_jwst_lenses/SDSSJ1430+4105_F814W": (math.nan, math.nan, "hst-f814w"),
    "kids_viking_field": (0.3, 27.5, "kids-u kids-g kids-r kids-i"),
    "ps1_lenses/SDSSJ1148_1930.fits": (0.25, 32.553, "ps1-g ps1-r ps1-i ps1-z ps1-y"),
}


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: str(path.relative_to(REAL)))
def test_real_input_is_one_sound_cutout(path):
    cutouts = list(read_cutouts(path))
    assert len(cutouts) == 1
    cutout = cutouts[0]
    assert np.isfinite(cutout.flux).mean() > 0.99
    assert np.ptp(cutout.flux) > 0
    assert (cutout.ivar >= 0).all()
    assert cutout.mask.mean() < 0.2
    assert np.isnan(cutout.pixel_scale) or 0.01 < cutout.pixel_scale < 0.5
    assert all(wavelength(band) for band in cutout.bands if band)
    if cutout.psf is not None:
        np.testing.assert_allclose(cutout.psf.sum((1, 2)), 1, atol=1e-4)


@pytest.mark.parametrize("name", KNOWN)
def test_known_facts_are_found(name):
    if REAL / name not in INPUTS:
        pytest.skip(f"{name} is not among the real images here")
    scale, zero_point, bands = KNOWN[name]
    cutout = next(iter(read_cutouts(REAL / name)))
    assert cutout.pixel_scale == pytest.approx(scale, abs=1e-4, nan_ok=True)
    assert cutout.zero_point[0] == pytest.approx(zero_point, abs=1e-3, nan_ok=True)
    assert set(bands.split()) <= set(cutout.bands)


def test_noise_maps_agree_with_the_scatter_of_the_sky():
    """A noise map read as the wrong thing would be off by far more than correlated noise makes."""
    ratios = {}
    for path in INPUTS:
        cutout = next(iter(read_cutouts(path)))
        for band, flux, ivar in zip(cutout.bands, cutout.flux, cutout.ivar, strict=True):
            corners = np.concatenate([flux[:8, :8].ravel(), flux[-8:, -8:].ravel()])
            known = np.concatenate([ivar[:8, :8].ravel(), ivar[-8:, -8:].ravel()])
            if known.any():
                scatter = 1.4826 * np.median(np.abs(corners - np.median(corners)))
                ratios[path.name, band] = scatter * np.median(known[known > 0]) ** 0.5
    values = np.array(list(ratios.values()))
    assert len(values) > 20
    assert 0.3 < np.median(values) < 1.5
    assert values.min() > 0.1, ratios
    assert values.max() < 10, ratios


@pytest.mark.slow
def test_scan_of_all_real_images_scores_or_says_why(tmp_path):
    weights = tmp_path / "weights.safetensors"
    finder().save(weights)
    result = Scan(files=(REAL,), finder=weights).run(tmp_path / "scan")
    assert result.n_rows == len(INPUTS)
    table = read_table(tmp_path / "scan" / "candidates.parquet")
    failed = table["status"] == "failed"
    assert len(set(table["object_id"])) == len(INPUTS)
    assert np.isfinite(table["score"][~failed]).all()
    allowed = ("pixel scale not known", "field too small")
    assert all(reason.startswith(allowed) for reason in table["reason"][failed])
    assert (~failed).sum() > 0.6 * len(INPUTS)
