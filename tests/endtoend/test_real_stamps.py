"""The stamps of real galaxies kept beside the project are read, cleaned and put on the sky."""

from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits

from stronglens.data.stamps import StampRules, read_stamps
from stronglens.light.records import LightComponent

REAL = Path(__file__).parents[3] / "shared" / "data" / "sources"
# folder, stamps in it, stamps of a signal-to-noise ratio of 50
FOLDERS = (("cosmos_hst_f814w_bright10", 10, 10), ("cosmos_hst_f814w_mag23.5-26", 100, 48))

pytestmark = pytest.mark.skipif(
    not REAL.is_dir(), reason="no folder of real galaxies beside the repository (../shared/data)"
)


@pytest.mark.parametrize(("folder", "n", "n_good"), FOLDERS)
def test_real_stamps_are_sound(folder, n, n_good):
    stamps = read_stamps(REAL / folder)
    # versions of the detection may move a stamp over the cut
    assert abs(len(stamps) - n_good) <= 3
    assert len(set(stamps.name)) == len(stamps) <= n
    assert np.isfinite(stamps.image).all()
    assert (stamps.image >= 0).all()
    np.testing.assert_allclose(stamps.image.sum(axis=(1, 2)), 1.0, rtol=1e-4)
    assert ((stamps.magnitude > 19) & (stamps.magnitude < 26)).all()
    assert ((stamps.psf_fwhm > 0.10) & (stamps.psf_fwhm < 0.12)).all()
    assert ((stamps.redshift > 0) & (stamps.redshift < 5)).all()


def test_cleaning_keeps_the_light_and_its_concentration():
    """The share of a stamp's light that is in its central pixels, before and after."""
    folder = REAL / FOLDERS[1][0]
    table = fits.getdata(folder / "real_galaxy_catalog_26_extension_example.fits", 1)
    units = dict(zip(table["IDENT"].tolist(), table["GAL_HDU"].tolist(), strict=True))
    stamps = read_stamps(folder, StampRules(min_snr=100.0))
    kept = []
    for name, image in zip(stamps.name, stamps.image, strict=True):
        raw = fits.getdata(folder / "real_galaxy_images_extension.fits", units[int(name)])
        kept.append((raw.max() / raw.sum()) / image.max())
    # noise makes the brightest pixel brighter, and the light outside the galaxy is lost
    assert 0.9 < np.median(kept) < 1.1
    assert min(kept) > 0.7
    assert max(kept) < 1.4


def test_a_real_stamp_on_the_sky_has_unit_flux():
    stamps = read_stamps(REAL / FOLDERS[0][0], rows=[1, 3, 7])
    n = len(stamps)
    values = {"scale": 0.5, "phi": 0.7, "x_center": 0.2, "y_center": -0.1}
    component = LightComponent(
        "pixelated",
        {
            "image": torch.from_numpy(stamps.image),
            "pixel_scale": torch.from_numpy(stamps.pixel_scale).float(),
            **{name: torch.full((n,), value) for name, value in values.items()},
        },
    )
    line = torch.linspace(-3.0, 3.0, 601)
    light = component.brightness(line[None, None], line[None, :, None])
    # positions 0.01 arcsec apart, pixels of 0.015 arcsec
    torch.testing.assert_close(light.sum(dim=(1, 2)) * 1e-4, torch.ones(n), rtol=0, atol=2e-3)
