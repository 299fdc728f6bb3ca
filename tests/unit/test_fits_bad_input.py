"""Files that cannot be understood say what is wrong, what is allowed and what to do."""

import gzip

import numpy as np
import pytest
from astropy.io import fits
from fits_toys import galaxy, wcs_header, write, write_extensions

from stronglens.core.errors import MissingDataError, UnreadableFileError, WrongShapeError
from stronglens.data.fits import read_cutouts


def _bytes(tmp_path):
    return write(tmp_path / "whole.fits", galaxy(), wcs_header()).read_bytes()


def _extensions(tmp_path):
    units = [(band, galaxy(), wcs_header(FILTER=band)) for band in "gr"]
    return write_extensions(tmp_path / "two.fits", units).read_bytes()


BROKEN = {
    "empty": (lambda _: b"", "is empty"),
    "text": (lambda _: b"not a FITS file at all " * 50, "is not a FITS file"),
    "picture": (lambda _: b"\x89PNG\r\n" + bytes(4000), "is not a FITS file"),
    "cut in the header": (lambda t: _bytes(t)[:1000], "truncated"),
    "cut in the data": (lambda t: _bytes(t)[:9000], "truncated"),
    "cut in the last block": (lambda t: _bytes(t)[:-3000], "truncated"),
    "cut in the second image": (lambda t: _extensions(t)[:30000], "truncated"),
    "cut in the second header": (lambda t: _extensions(t)[: 2880 * 8 + 500], "truncated"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_file_is_named(tmp_path, case):
    make, text = BROKEN[case]
    path = tmp_path / "bad.fits"
    path.write_bytes(make(tmp_path))
    with pytest.raises(UnreadableFileError, match=text) as caught:
        list(read_cutouts(path))
    assert "bad.fits" in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("ending", [".fits.gz", ".fits.fz"])
def test_broken_compressed_file_is_named(tmp_path, ending):
    path = tmp_path / f"bad{ending}"
    if ending == ".fits.gz":
        path.write_bytes(gzip.compress(_bytes(tmp_path))[:3000])
    else:
        unit = fits.CompImageHDU(galaxy(150, 150))
        fits.HDUList([fits.PrimaryHDU(), unit]).writeto(path)
        path.write_bytes(path.read_bytes()[:20000])
    with pytest.raises(UnreadableFileError, match="truncated"):
        list(read_cutouts(path))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(MissingDataError, match="does not exist"):
        list(read_cutouts(tmp_path / "none.fits"))


def test_folder_without_fits_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(MissingDataError, match="holds no FITS file"):
        list(read_cutouts(tmp_path))


def test_file_without_an_image_is_named(tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "table.fits")
    with pytest.raises(UnreadableFileError, match="holds no image"):
        list(read_cutouts(tmp_path / "table.fits"))


@pytest.mark.parametrize("name", ["psf", "noise_map", "SL2S_g_rms", "PSF_HSC", "mask_extra"])
def test_companion_alone_is_no_object(tmp_path, name):
    path = write(tmp_path / f"{name}.fits", galaxy())
    with pytest.raises(UnreadableFileError, match="by its name not an image"):
        list(read_cutouts(path))


def test_file_with_companions_only_is_named(tmp_path):
    path = write_extensions(tmp_path / "x.fits", [("G_PSF", galaxy(), None)])
    with pytest.raises(UnreadableFileError, match="holds no image, only: psf"):
        list(read_cutouts(path))


def test_oblong_pixels_are_refused(tmp_path):
    header = wcs_header(0.2)
    header["CD2_2"] = 2 * header["CD2_2"]
    with pytest.raises(WrongShapeError, match=r"2\.00 times longer than wide"):
        list(read_cutouts(write(tmp_path / "x.fits", galaxy(), header)))


def test_stack_beside_another_image_is_refused(tmp_path):
    units = [("SCI", np.zeros((9, 20, 20), np.float32), None), ("DATA", galaxy(), None)]
    with pytest.raises(WrongShapeError, match="stacks of these alone in their file"):
        list(read_cutouts(write_extensions(tmp_path / "x.fits", units)))


def test_unreadable_card_does_not_stop_the_reader(tmp_path):
    path = write(tmp_path / "x.fits", galaxy(), wcs_header(PHOTZP=30.0, FILTER="g"))
    content = path.read_bytes()
    path.write_bytes(
        content.replace(b"PHOTZP  =                 30.0", b"PHOTZP  =             30.0 0.0")
    )
    cutout = next(iter(read_cutouts(path)))
    assert np.isnan(cutout.zero_point[0])
    assert cutout.bands == ("g",)
    path.write_bytes(content.replace(b"CD1_1   =", b"CD1_1   ?"))
    assert np.isnan(next(iter(read_cutouts(path))).pixel_scale)


def test_size_that_is_not_in_the_file_is_named(tmp_path):
    content = write(tmp_path / "x.fits", galaxy(), wcs_header()).read_bytes()
    huge = content.replace(b"NAXIS1  =                   64", b"NAXIS1  =           9999999999")
    assert huge != content
    (tmp_path / "x.fits").write_bytes(huge)
    with pytest.raises(UnreadableFileError, match=r"truncated|cannot be read"):
        list(read_cutouts(tmp_path / "x.fits"))
