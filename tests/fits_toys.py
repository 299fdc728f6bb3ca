"""Small FITS files in the layouts that real cutouts come in."""

from pathlib import Path

import numpy as np
import torch
from astropy.io import fits

from stronglens.data.cutout import Cutout
from stronglens.finders.finder import Finder, FinderFacts
from stronglens.finders.networks import InputShape, architecture_of, build_network
from stronglens.finders.normalise import SkyAsinh

SIGMA = 0.5
RMS = np.full((64, 64), SIGMA, np.float32)


def galaxy(height=64, width=64, pixel_scale=0.18, total=5000.0, seed=0):
    """Round Gaussian of 1.2 arcsec FWHM, a little off centre, with sky noise; (y, x) float32."""
    y, x = np.indices((height, width))
    y = (y - (height - 1) / 2) * pixel_scale - 0.2
    x = (x - (width - 1) / 2) * pixel_scale - 0.3
    sigma = 1.2 / 2.3548
    shape = np.exp(-(x**2 + y**2) / (2 * sigma**2)) * pixel_scale**2 / (2 * np.pi * sigma**2)
    noise = np.random.default_rng(seed).normal(0, SIGMA, (height, width))
    return (total * shape + noise).astype(np.float32)


def wcs_header(pixel_scale=0.18, height=64, width=64, ra=150.0, dec=2.0, **cards):
    """Header with a TAN WCS whose reference is the centre of the image."""
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRVAL1"], header["CRVAL2"] = ra, dec
    header["CRPIX1"], header["CRPIX2"] = (width + 1) / 2, (height + 1) / 2
    header["CD1_1"], header["CD2_2"] = -pixel_scale / 3600, pixel_scale / 3600
    header.update(cards)
    return header


def write(path: Path, data, header=None):
    """Write one array as a FITS file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.writeto(path, data, header, overwrite=True)
    return path


def write_extensions(path: Path, units, primary=None):
    """Write named extensions: (name, array, header)."""
    images = [fits.ImageHDU(data, header, name=name) for name, data, header in units]
    fits.HDUList([fits.PrimaryHDU(header=primary), *images]).writeto(path, overwrite=True)
    return path


def cutout(flux, pixel_scale=0.18, zero_point=30.0, ivar=None, mask=None, **facts):
    """Cutout of one band from an array (y, x)."""
    flux = np.asarray(flux, np.float32)[None]
    return Cutout(
        flux=flux,
        ivar=np.zeros_like(flux) if ivar is None else np.asarray(ivar, np.float32)[None],
        mask=np.zeros(flux.shape, bool) if mask is None else np.asarray(mask, bool)[None],
        bands=facts.pop("bands", ("lsst-g",)),
        zero_point=np.array([zero_point], dtype=np.float64),
        pixel_scale=pixel_scale,
        object_id="toy",
        input="toy.fits",
        **facts,
    )


def finder(bands=("lsst-g",), size=(45, 45), zero_point=30.0):
    """Finder with weights that nobody trained, but that tell images apart."""
    torch.manual_seed(1)
    architecture = architecture_of("resnet-small")
    shape = InputShape(len(bands), *size)
    network = build_network("resnet-small", shape, architecture)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    facts = FinderFacts(
        network="resnet-small",
        architecture=architecture,
        bands=bands,
        height=size[0],
        width=size[1],
        pixel_scale=0.18,
        zero_point=zero_point,
    )
    return Finder(network, SkyAsinh(), facts=facts)
