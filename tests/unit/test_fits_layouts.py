"""Every layout of FITS cutouts is read into the same record."""

import gzip

import numpy as np
import pytest
from astropy.io import fits
from fits_toys import RMS, SIGMA, galaxy, wcs_header, write, write_extensions

from stronglens.data.fits import read_cutouts
from stronglens.data.inputs import list_inputs
from stronglens.data.planes import Hints

PSF = np.pad(np.ones((1, 1), np.float32), 6)


def _one(path, **hints):
    cutouts = list(read_cutouts(path, Hints(**hints)))
    assert len(cutouts) == 1
    return cutouts[0]


def test_single_image_with_wcs(tmp_path):
    image = galaxy(41, 60)
    path = write(
        tmp_path / "SL2SJ0214_g_sci.fits",
        image,
        wcs_header(0.186, 41, 60, FILTER="g.MP9401", PHOTZP=30.0),
    )
    cutout = _one(path)
    np.testing.assert_array_equal(cutout.flux[0], image)
    assert cutout.bands == ("cfhtls-g",)
    assert cutout.zero_point == pytest.approx([30.0])
    assert cutout.pixel_scale == pytest.approx(0.186)
    assert (cutout.ra, cutout.dec) == pytest.approx((150.0, 2.0))
    assert (cutout.height, cutout.width) == (41, 60)
    assert cutout.object_id == "SL2SJ0214_g_sci"
    assert not cutout.ivar.any()
    assert cutout.psf is None


def test_folder_of_bands_with_noise_psf_and_mask(tmp_path):
    folder = tmp_path / "SL2SJ0214"
    for k, band in enumerate("ugr"):
        header = wcs_header(FILTER=f"{band}.MP9{k + 3}01")
        write(folder / f"SL2SJ0214_{band}_sci.fits", galaxy(seed=k), header)
        write(folder / f"SL2SJ0214_{band}_rms.fits", RMS * (k + 1), header)
        write(folder / f"SL2SJ0214_{band}_psf.fits", PSF)
    mask = np.zeros((64, 64))
    mask[:8] = 1
    write(folder / "SL2SJ0214_mask.fits", mask)
    assert list_inputs([tmp_path]) == [folder]
    cutout = _one(folder)
    assert cutout.object_id == "SL2SJ0214"
    assert set(cutout.bands) == {"cfhtls-u", "cfhtls-g", "cfhtls-r"}
    for k, band in enumerate(("cfhtls-u", "cfhtls-g", "cfhtls-r")):
        index = cutout.bands.index(band)
        np.testing.assert_array_equal(cutout.flux[index], galaxy(seed=k))
        np.testing.assert_allclose(cutout.ivar[index], (SIGMA * (k + 1)) ** -2)
    assert cutout.psf is not None
    assert cutout.psf.shape == (3, 13, 13)
    assert not cutout.mask.any()
    assert "mask of 12 % of the pixels not applied" in cutout.remarks[0]
    used = _one(folder, use_mask=True)
    assert used.mask[:, :8].all()
    assert not used.mask[:, 8:].any()
    assert not used.ivar[:, :8].any()


def test_folder_of_files_named_by_capital_bands(tmp_path):
    folder = tmp_path / "W3+3-2"
    filters = {"G": "g.MP9401", "I": "i.MP9701", "I2": "i.MP9702"}
    for label, name in filters.items():
        write(folder / f"W3+3-2.{label}.12907_13034.fits", galaxy(), wcs_header(FILTER=name))
    assert list_inputs([folder]) == [folder]
    assert set(_one(folder).bands) == {"cfhtls-g", "cfhtls-i", "cfhtls-i2"}


@pytest.mark.parametrize(
    "names", [("image", "noise", "psf"), ("data", "noise_map", "psf"), ("x_sci", "x_err", "x_psf")]
)
def test_folder_of_image_noise_and_psf_without_wcs(tmp_path, names):
    noise = RMS.copy()
    noise[5, 7] = 1e8
    folder = tmp_path / "SDSSJ1430_F814W"
    for name, data in zip(names, (galaxy(), noise, PSF), strict=True):
        write(folder / f"{name}.fits", data)
    assert list_inputs([tmp_path]) == [folder]
    cutout = _one(folder)
    assert cutout.bands == ("hst-f814w",)
    assert np.isnan(cutout.pixel_scale)
    assert np.isnan(cutout.zero_point[0])
    assert cutout.mask.sum() == 1
    assert cutout.mask[0, 5, 7]
    assert cutout.ivar[0, 5, 7] == 0
    given = _one(folder, pixel_scale=0.05, zero_point=25.9)
    assert given.pixel_scale == 0.05
    assert given.zero_point == pytest.approx([25.9])


def test_filter_folders_take_the_name_of_the_object(tmp_path):
    for band in ("F150W", "F277W"):
        write(tmp_path / "ring" / band / "data.fits", galaxy())
        psf_header = fits.Header([("PIXSCALE", 0.03)])
        write(tmp_path / "ring" / band / "psf.fits", PSF, psf_header)
    inputs = list_inputs([tmp_path / "ring"])
    assert [path.name for path in inputs] == ["F150W", "F277W"]
    cutout = _one(inputs[0])
    assert cutout.object_id == "ring_F150W"
    assert cutout.bands == ("jwst-f150w",)
    assert cutout.pixel_scale == 0.03
    assert "from the header of the psf" in cutout.remarks[0]


def test_extensions_named_by_band(tmp_path):
    units = [
        (b.upper(), galaxy(seed=k), wcs_header(0.25, FILTER=b, MAGZERO=32.0 + k))
        for k, b in enumerate("griz")
    ]
    path = write_extensions(
        tmp_path / "ps1.fits", units, fits.Header([("SURVEY", "Pan-STARRS1 3pi stack")])
    )
    cutout = _one(path)
    assert cutout.bands == ("ps1-g", "ps1-r", "ps1-i", "ps1-z")
    assert cutout.zero_point == pytest.approx([32.0, 33.0, 34.0, 35.0])


def test_extensions_of_image_psf_and_noise_per_band(tmp_path):
    worthless = RMS.copy()
    worthless[0, 0] = 1e16
    units = [
        ("DES_G_BGSUB", galaxy(seed=1), wcs_header(0.1, FILTER="DECAM_g", MAGZERO=30.0)),
        ("DES_G_PSF", PSF[:11, :11], None),
        ("DES_G_RMS", RMS, None),
        ("VIS_BGSUB", galaxy(seed=2), wcs_header(0.1, FILTER="VIS", MAGZERO=24.6)),
        ("VIS_PSF", PSF, None),
        ("VIS_RMS", worthless, None),
        ("NIR_Y_BGSUB", galaxy(seed=3), wcs_header(0.1, FILTER="NIR_Y", MAGZERO=29.8)),
    ]
    cutout = _one(write_extensions(tmp_path / "euclid.fits", units))
    assert cutout.bands == ("des-g", "euclid-vis", "euclid-y")
    assert cutout.zero_point == pytest.approx([30.0, 24.6, 29.8])
    np.testing.assert_allclose(cutout.ivar[0], SIGMA**-2)
    assert cutout.mask.sum() == 1
    assert cutout.mask[1, 0, 0]
    assert not cutout.ivar[2].any()
    assert cutout.psf is not None
    assert cutout.psf.sum((1, 2)) == pytest.approx([1.0, 1.0, 0.0])


def test_second_planes_are_no_noise(tmp_path):
    units = [("G_IMAGE", galaxy(), None), ("G_SECOND", galaxy(), None)]
    cutout = _one(write_extensions(tmp_path / "mock.fits", units))
    assert cutout.bands == ("g",)
    assert not cutout.ivar.any()
    assert cutout.remarks == ("left out: G_SECOND",)


def test_survey_exposure_with_named_mask_bits(tmp_path):
    bits = np.zeros((64, 64), np.int32)
    bits[1, 1] = 1 << 0
    bits[2, 2] = 1 << 5
    header = fits.Header([("MP_BAD", 0), ("HIERARCH MP_DETECTED", 5)])
    primary = fits.Header([("FILTER", "HSC-G"), ("FLUXMAG0", 10 ** (0.4 * 27.0))])
    units = [("IMAGE", galaxy(), wcs_header(0.168)), ("MASK", bits, header)]
    units.append(("VARIANCE", RMS**2, None))
    cutout = _one(write_extensions(tmp_path / "cutout.fits", units, primary))
    assert cutout.bands == ("hsc-g",)
    assert cutout.zero_point == pytest.approx([27.0])
    np.testing.assert_array_equal(np.argwhere(cutout.mask[0]), [[1, 1]])
    assert cutout.ivar[0, 2, 2] == pytest.approx(SIGMA**-2)


def test_weight_map_masks_but_is_no_inverse_variance(tmp_path):
    weight = np.full((64, 64), 1200.0, np.float32)
    weight[4, 4] = 0
    units = [("SCI", galaxy(), wcs_header(0.05)), ("WHT", weight, None), ("CTX", weight, None)]
    primary = fits.Header([("FILTER1", "CLEAR1L"), ("FILTER2", "F814W"), ("INSTRUME", "ACS")])
    cutout = _one(write_extensions(tmp_path / "drz.fits", units, primary))
    assert cutout.bands == ("hst-f814w",)
    assert not cutout.ivar.any()
    np.testing.assert_array_equal(np.argwhere(cutout.mask[0]), [[4, 4]])


def test_cube_of_bands_named_in_its_header(tmp_path):
    cube = np.stack([galaxy(50, 60, seed=k) for k in range(3)])
    header = wcs_header(0.262, 50, 60, BANDS="grz", SURVEY="DECaLS")
    cutout = _one(write(tmp_path / "decals.fits", cube, header))
    np.testing.assert_array_equal(cutout.flux, cube)
    assert cutout.bands == ("legacy-g", "legacy-r", "legacy-z")
    assert cutout.zero_point == pytest.approx([22.5] * 3)


def test_cube_of_a_survey_with_a_known_order_and_of_none(tmp_path):
    cube = np.stack([galaxy(seed=k) for k in range(5)])
    assert _one(write(tmp_path / "Cut_HSC.fits", cube)).bands == tuple(
        f"hsc-{band}" for band in "grizy"
    )
    unnamed = write(tmp_path / "cube.fits", cube)
    assert _one(unnamed).bands == ("",) * 5
    assert _one(unnamed, bands=("u", "g", "r", "i", "z")).bands == ("u", "g", "r", "i", "z")


def test_bands_may_come_last(tmp_path):
    cube = np.stack([galaxy(50, 60, seed=k) for k in range(3)])
    cutout = _one(write(tmp_path / "cube.fits", np.moveaxis(cube, 0, -1)), bands=("g", "r", "i"))
    np.testing.assert_array_equal(cutout.flux, cube)


@pytest.mark.parametrize("shape", [(12,), (2, 3), (2, 1), (8, 3)])
def test_stack_is_read_as_one_object_per_entry(tmp_path, shape):
    stack = np.random.default_rng(1).normal(size=(*shape, 20, 30)).astype(np.float32)
    cutouts = list(read_cutouts(write(tmp_path / "stack.fits", stack, wcs_header(0.2, 20, 30))))
    assert len(cutouts) == shape[0]
    assert cutouts[-1].object_id == f"stack_{shape[0] - 1:0{len(str(shape[0] - 1))}d}"
    assert len({cutout.object_id for cutout in cutouts}) == shape[0]
    for cutout, entry in zip(cutouts, stack, strict=True):
        np.testing.assert_array_equal(cutout.flux.squeeze(), entry.squeeze())
        assert f"read as a stack of {shape[0]} objects" in cutout.remarks


def test_few_planes_of_one_filter_are_a_stack(tmp_path):
    stack = np.stack([galaxy(seed=k) for k in range(3)])
    path = write(tmp_path / "three.fits", stack, wcs_header(FILTER="r"))
    assert [cutout.bands for cutout in read_cutouts(path)] == [("r",)] * 3


def test_band_of_simulated_challenge_file_and_its_stand_in_value(tmp_path):
    image = galaxy() * np.float32(1e-12)
    image[3:5, 3:5] = 100.0
    cutout = _one(write(tmp_path / "imageSDSS_R-100002.fits", image, wcs_header(0.2)))
    assert cutout.bands == ("sdss-r",)
    assert cutout.mask.sum() == 4
    assert cutout.flux.max() < 1e-8
    assert cutout.remarks == ("4 pixels of value 100 taken as masked",)


def test_compressed_files(tmp_path):
    image = galaxy()
    plain = write(tmp_path / "r.fits", image, wcs_header(FILTER="r"))
    zipped = tmp_path / "z.fits.gz"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    np.testing.assert_array_equal(_one(zipped).flux[0], image)
    packed = tmp_path / "i.fits.fz"
    unit = fits.CompImageHDU(image, wcs_header(FILTER="i", PIXSCALE=0.3), name="SCI")
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(packed)
    cutout = _one(packed)
    assert np.abs(cutout.flux[0] - image).max() < 0.3 * SIGMA
    assert cutout.bands == ("i",)
    assert cutout.pixel_scale == pytest.approx(0.18)


def test_bands_on_other_pixels_are_left_out_and_named(tmp_path):
    units = [
        ("VIS", galaxy(60, 60, 0.1), wcs_header(0.1, 60, 60, FILTER="VIS")),
        ("NIR_H", galaxy(20, 20, 0.3), wcs_header(0.3, 20, 20, FILTER="NIR_H")),
    ]
    path = write_extensions(tmp_path / "two.fits", units)
    assert _one(path).bands == ("euclid-vis",)
    cutout = _one(path, wanted=("roman-f158",))
    assert cutout.bands == ("euclid-h",)
    assert cutout.remarks == ("other pixel grids left out: euclid-vis (60x60)",)


def test_second_image_of_a_band_is_left_out_and_named(tmp_path):
    units = [("SCI", galaxy(seed=1), wcs_header(FILTER="r")), ("DATA", galaxy(), None)]
    units[1] = ("DATA", galaxy(seed=2), wcs_header(FILTER="r"))
    cutout = _one(write_extensions(tmp_path / "twice.fits", units))
    np.testing.assert_array_equal(cutout.flux[0], galaxy(seed=1))
    assert cutout.remarks == ("second image of band r left out",)
