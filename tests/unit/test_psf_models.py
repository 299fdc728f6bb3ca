"""PSF models: unit sum, the stated width, and PSFEx as GalSim reads it."""

from dataclasses import replace

import galsim
import galsim.des
import numpy as np
import pytest
from astropy.io import fits
from tile_toys import Sky, build_tile

from stronglens.core.errors import MissingDataError, OutOfRangeError, UnreadableFileError
from stronglens.data.psf_models import (
    WidthPsf,
    gaussian_kernels,
    gaussian_psf,
    kernel_psf,
    read_psfex,
)
from stronglens.data.star_psf import describe_kernel
from stronglens.data.survey_tile import BandImage, SurveyTile, TileGrid
from stronglens.data.tile_psf import with_star_psf


def write_psfex(path, step=0.7, size=25, n_axes=2, groups=1):
    """PSFEx model of degree 2 whose width and place change over the tile."""
    y, x = np.indices((size, size)) - size // 2
    r2 = (x**2 + y**2) * step**2
    base = np.exp(-r2 / 8)
    terms = [base, 0.05 * base * x * step, 0.02 * base * (r2 - 8), 0.04 * base * y * step,
             0.03 * base * x * y, 0.02 * base * y**2]  # fmt: skip
    mask = np.array(terms, np.float32)[None]
    column = fits.Column("PSF_MASK", f"{mask[0].size}E", dim=f"({size},{size},6)", array=mask)
    table = fits.BinTableHDU.from_columns([column], name="PSF_DATA")
    table.header.update(
        POLNAXIS=n_axes, POLNGRP=groups, POLDEG1=2, POLNAME1="X_IMAGE", POLNAME2="Y_IMAGE",
        POLZERO1=500.0, POLZERO2=400.0, POLSCAL1=900.0, POLSCAL2=700.0, POLGRP1=1, POLGRP2=1,
        PSF_SAMP=step, PSFNAXIS=3, PSFAXIS1=size, PSFAXIS2=size, PSFAXIS3=6,
    )  # fmt: skip
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return path


# between the samples of the model, cubic and Lanczos interpolation differ
@pytest.mark.parametrize(("step", "tolerance"), [(1.0, 2e-4), (0.7, 4e-3)])
def test_psfex_model_agrees_with_galsim_at_several_places(tmp_path, step, tolerance):
    path = write_psfex(tmp_path / "tile.psf", step)
    model = read_psfex(path)
    x, y = np.array([0.0, 500.0, 950.0]), np.array([0.0, 300.0, 777.0])
    kernels = model.kernels(x, y)
    reference = galsim.des.DES_PSFEx(str(path))
    for k in range(3):
        psf = reference.getPSF(galsim.PositionD(x[k] + 1, y[k] + 1))
        side = model.size
        image = psf.drawImage(nx=side, ny=side, scale=1.0, method="no_pixel").array
        image /= image.sum()
        np.testing.assert_allclose(kernels[k], image, rtol=0, atol=tolerance * image.max())
    np.testing.assert_allclose(kernels.sum((1, 2)), 1, atol=1e-6)
    assert not np.allclose(kernels[0], kernels[2], atol=1e-3)


def test_a_file_that_is_no_psfex_model_is_refused(tmp_path):
    fits.writeto(tmp_path / "a.psf", np.ones((5, 5)))
    with pytest.raises(UnreadableFileError, match=r"a\.psf"):
        read_psfex(tmp_path / "a.psf")
    with pytest.raises(MissingDataError, match="does not exist"):
        read_psfex(tmp_path / "b.psf")
    write_psfex(tmp_path / "c.psf", n_axes=3)
    with pytest.raises(UnreadableFileError, match="PSFEx model of 3 variables"):
        read_psfex(tmp_path / "c.psf")


@pytest.mark.parametrize("size", [21, 35])
def test_gaussian_kernels_have_sum_one_and_the_width_asked_for(size):
    fwhm = np.array([3.0, 4.5])
    kernels = gaussian_kernels(fwhm, size)
    np.testing.assert_allclose(kernels.sum((1, 2)), 1, atol=1e-6)
    offsets = np.arange(size) - size // 2
    variance = (kernels.sum(1) * offsets**2).sum(1) - 1 / 12
    np.testing.assert_allclose(2.3548 * np.sqrt(variance), fwhm, rtol=5e-3)
    np.testing.assert_allclose(kernels, kernels[:, ::-1, ::-1], atol=1e-8)


def test_a_map_of_widths_gives_the_width_at_the_target_and_nothing_where_it_is_not_known():
    widths = np.full((10, 12), 0.8, np.float32)
    widths[3, 4], widths[5, 6] = 1.2, 0.0
    model = WidthPsf(widths, 0.2, 1.3)
    kernels = model.kernels(np.array([4.2, 6.0, 0.0, -5.0]), np.array([2.9, 5.0, 0.0, 20.0]))
    assert kernels.shape[1:] == (model.size, model.size)
    peaks = kernels.max((1, 2))
    assert peaks[0] < peaks[2] == peaks[3]
    assert peaks[1] == 0


def test_kernel_of_even_size_that_is_not_square_is_centred():
    image = np.zeros((6, 9))
    image[2, 4] = 2.0
    model = kernel_psf(image)
    assert model.size == 9
    assert model.kernel[4, 4] == 1
    assert kernel_psf(np.zeros((5, 5))) is None


@pytest.mark.parametrize("width", [0.0, -1.0, 100.0])
def test_a_width_that_no_psf_has_is_refused(width):
    with pytest.raises(OutOfRangeError, match="psf_fwhm="):
        gaussian_psf(width, 0.2)


def test_a_tile_without_a_psf_takes_it_from_its_stars_and_says_from_how_many():
    tile, _, _ = build_tile(Sky(fwhm=0.9), bands=("kids-r", "kids-g"))
    images = tuple(
        BandImage(band, flux, 27.5) for band, flux in zip(tile.bands, tile.flux, strict=True)
    )
    grid = TileGrid("toy", images, tile.pixel_scale, 27.5)
    (found,) = with_star_psf(SurveyTile("toy", (grid,))).grids
    kernels = [image.psf.kernels(np.zeros(1), np.zeros(1))[0] for image in found.images]
    for kernel, width in zip(kernels, (0.9, 0.99), strict=True):
        assert describe_kernel(kernel, tile.pixel_scale).fwhm == pytest.approx(width, rel=0.05)
    assert "PSF of kids-r from" in found.remarks[0]
    empty = replace(grid, images=(BandImage("r", np.zeros((200, 200), np.float32), 27.5),))
    (found,) = with_star_psf(SurveyTile("empty", (empty,))).grids
    assert found.images[0].psf is None
    assert "no PSF for r" in found.remarks[0]
