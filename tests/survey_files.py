"""Small files in the layouts of surveys, each with one star of known magnitude at a known pixel."""

from pathlib import Path

import numpy as np
from astropy.io import fits

HEIGHT, WIDTH = 90, 120
STAR = (70, 41)
"""Column and row of the star."""
BAD = (20, 15)
"""Column and row of a bad pixel."""
MAGNITUDE = 19.0
MASK_PLANES = {"MP_BAD": 0, "MP_SAT": 1, "HIERARCH MP_DETECTED": 5, "HIERARCH MP_NO_DATA": 8}


def sky_header(pixel_scale, height=HEIGHT, width=WIDTH, ra=150.0, dec=2.0, **cards):
    """Header with a TAN WCS whose reference is the centre of the image."""
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRVAL1"], header["CRVAL2"] = ra, dec
    header["CRPIX1"], header["CRPIX2"] = (width + 1) / 2, (height + 1) / 2
    header["CD1_1"], header["CD2_2"] = -pixel_scale / 3600, pixel_scale / 3600
    header.update(cards)
    return header


def star_image(
    zero_point, sigma=1.0, x=STAR[0], y=STAR[1], shape=(HEIGHT, WIDTH), fwhm=4.0, seed=0
):
    """Gaussian star of `MAGNITUDE` on sky noise of `sigma` millimaggies of that zero point."""
    rows, columns = np.indices(shape)
    s = fwhm / 2.3548
    star = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * s**2)) / (2 * np.pi * s**2)
    noise = np.random.default_rng(seed).normal(0, 1, shape)
    unit = 10 ** (0.4 * (zero_point - MAGNITUDE))
    return (unit * (star + 1e-5 * sigma * noise)).astype(np.float32)


def sigma_of(zero_point, sigma=1.0):
    """Noise of `star_image`."""
    return 1e-5 * sigma * 10 ** (0.4 * (zero_point - MAGNITUDE))


def bad_pixel(value, dtype=np.int32):
    """Image of zeros with one value at the bad pixel."""
    flags = np.zeros((HEIGHT, WIDTH), dtype)
    flags[BAD[1], BAD[0]] = value
    return flags


def constant(value):
    """Image of one value."""
    return np.full((HEIGHT, WIDTH), value, np.float32)


def put(path: Path, data, header=None):
    """Write one array; compressed where the name ends with .fz."""
    if path.suffix == ".fz":
        unit = fits.CompImageHDU(data, header, compression_type="GZIP_2", quantize_level=0)
        fits.HDUList([fits.PrimaryHDU(), unit]).writeto(path, overwrite=True)
    else:
        fits.writeto(path, data, header, overwrite=True)


def put_extensions(path: Path, units, primary=None, *, compress=False):
    """Write named extensions: (name, array, header)."""
    made = []
    for name, data, header in units:
        if compress:
            made.append(
                fits.CompImageHDU(
                    data, header, name=name, compression_type="GZIP_2", quantize_level=0
                )
            )
        else:
            made.append(fits.ImageHDU(data, header, name=name))
    fits.HDUList([fits.PrimaryHDU(header=primary), *made]).writeto(path, overwrite=True)


def rubin(folder):
    """Deep coadds in nanojansky."""
    for band in "gri":
        header = sky_header(0.2, BUNIT="nJy")
        mask = sky_header(0.2, **MASK_PLANES)
        flags = bad_pixel(1 << 8) | (1 << 5)
        put_extensions(
            folder / f"deep_coadd_5063_14_{band}_lsst_cells_v1_LSSTComCam_runs_DRP_DP1.fits",
            [
                ("IMAGE", star_image(31.4), header),
                ("MASK", flags, mask),
                ("VARIANCE", constant(sigma_of(31.4) ** 2), header),
            ],
            compress=True,
        )


def hsc(folder):
    """Coadds in counts, with FLUXMAG0 in the first header."""
    for band in "GRI":
        header = sky_header(0.168)
        mask = sky_header(0.168, **MASK_PLANES)
        put_extensions(
            folder / f"calexp-HSC-{band}-9813-4,5.fits.gz",
            [
                ("IMAGE", star_image(27.0), header),
                ("MASK", bad_pixel(2) | (1 << 5), mask),
                ("VARIANCE", constant(sigma_of(27.0) ** 2), header),
            ],
            fits.Header({"FLUXMAG0": 63095734448.0194}),
        )


def euclid(folder):
    """Mosaics of VIS and NIR with RMS and FLAG."""
    for band in ("VIS", "NIR-Y", "NIR-H"):
        end = "TILE102018665-ABCDEF_20241025T100000.0Z_00.00.fits"
        zero_point = 23.9 if band == "VIS" else 30.0
        header = sky_header(0.1, MAGZERO=zero_point)
        put(folder / f"EUC_MER_BGSUB-MOSAIC-{band}_{end}", star_image(zero_point), header)
        put(folder / f"EUC_MER_MOSAIC-{band}-RMS_{end}", constant(sigma_of(zero_point)), header)
        put(folder / f"EUC_MER_MOSAIC-{band}-FLAG_{end}", bad_pixel(4), header)


def legacy(folder):
    """A brick in nanomaggies, with widths of the PSF and bits of masks."""
    header = sky_header(0.262)
    for band in "grz":
        put(folder / f"legacysurvey-0001m002-image-{band}.fits.fz", star_image(22.5), header)
        ivar = constant(sigma_of(22.5) ** -2)
        put(folder / f"legacysurvey-0001m002-invvar-{band}.fits.fz", ivar, header)
        put(folder / f"legacysurvey-0001m002-psfsize-{band}.fits.fz", constant(1.2), header)
    bits = bad_pixel((1 << 2) | (1 << 3) | (1 << 4), np.int16) | 1
    wise = bad_pixel(1, np.uint8)
    put_extensions(
        folder / "legacysurvey-0001m002-maskbits.fits.fz",
        [("MASKBITS", bits, header), ("WISEM1", wise + 1, header)],
        compress=True,
    )


def des(folder):
    """A coadd tile with one file per band."""
    for band in "gri":
        header = sky_header(0.263, MAGZERO=30.0, FILTER=f"{band} DECam SDSS c0001 4720.0 1520.0")
        put_extensions(
            folder / f"DES0102-4914_r2590p01_{band}.fits.fz",
            [
                ("SCI", star_image(30.0), header),
                ("MSK", bad_pixel(1, np.int16), header),
                ("WGT", constant(sigma_of(30.0) ** -2), header),
            ],
            compress=True,
        )


def kids(folder):
    """A tile whose unit is that of magnitude 0."""
    for band in "ugri":
        name = f"KiDS_DR4.0_131.0_-1.5_{band}"
        header = sky_header(0.2)
        put(folder / f"{name}_sci.fits", star_image(0.0), header)
        put(folder / f"{name}_wei.fits", constant(sigma_of(0.0) ** -2), header)
        put(folder / f"{name}_msk.fits", bad_pixel(2, np.int16) | 8, header)


def challenge_ground(folder):
    """Two objects of challenge I, one folder per band, coordinates that are none."""
    for k, band in enumerate("RIGU", start=1):
        (folder / f"Band{k}").mkdir()
        for name in (100002, 100003):
            header = sky_header(0.2, 101, 101, ra=0.0, dec=0.0)
            image = star_image(0.0, x=50, y=50, shape=(101, 101), seed=name)
            put(folder / f"Band{k}" / f"imageSDSS_{band}-{name}.fits", image, header)


def challenge_space(folder):
    """Two objects of challenge II: VIS on fine pixels, Y, J, H on pixels three times as large."""
    for band, scale, n in (("VIS", 0.1, 200), ("Y", 0.3, 66), ("J", 0.3, 66), ("H", 0.3, 66)):
        (folder / f"EUC_{band}").mkdir()
        for name in (200000, 200001):
            header = sky_header(scale, n, n, ra=0.0, dec=0.0)
            middle = (n - 1) / 2
            fwhm = 6.0 * 0.1 / scale + 1
            image = star_image(0.0, x=middle, y=middle, shape=(n, n), fwhm=fwhm, seed=name)
            put(folder / f"EUC_{band}" / f"imageEUC_{band}-{name}.fits", image, header)
