"""Kilo-Degree Survey, fourth data release: OmegaCAM on the VLT Survey Telescope.

No library tabulates it: the sky is computed from the published depth, and holds whatever else the
coadds' noise has in it.
"""

from stronglens.surveys.records import PublishedDepth, Survey
from stronglens.surveys.survey import surveys
from stronglens.surveys.tables import Camera, FilterRow, build_band

_DR4 = "KiDS DR4 (Kuijken et al. 2019, A&A 625, A2), abstract"

_CAMERA = Camera(
    pixel_scale=0.2,
    gain=2.5,
    read_noise=4.67,
    saturation=160000.0,
    psf_fwhm_scatter=0.12,
    psf_beta=3.0,
    sources={
        "pixel_scale": "coadds of 0.2 arcsec (kids.strw.leidenuniv.nl/DR2/astcal.php)",
        "gain": "recalled, not checked",
        "read_noise": "5 e- (astro-wise.org, OmegaCAM S/N plots), times 0.2 / 0.214 for the pixels",
        "saturation": "16 bits at the gain above; recalled, not checked",
        "zero_point": "magnitudes of 1 e-/s recalled, not checked: they only set the photon noise "
        "of bright objects",
        "exposure_time": "recalled, not checked",
        "n_exposures": "recalled, not checked",
        "sky_brightness": f"computed from depth: {_DR4}",
        "psf_fwhm": f"r from {_DR4}; u, g and i recalled, not checked",
        "psf_fwhm_scatter": "assumed: 10-15 % is usual from the ground",
        "psf_beta": "assumed: 2.5-3.5 is usual from the ground",
        "wavelength": "that of the SDSS filters in speclite 1.0.0, which OmegaCAM's resemble",
        "depth_published": _DR4,
    },
)

# rate zero point, sky, exposure time, exposures, PSF FWHM, wavelength
_ROWS = {
    "u": FilterRow(24.3, 21.575, 250.0, 4, 1.00, 361.4),
    "g": FilterRow(25.8, 21.878, 180.0, 5, 0.90, 474.9),
    "r": FilterRow(25.55, 21.117, 360.0, 5, 0.70, 620.6),
    "i": FilterRow(25.1, 19.312, 240.0, 5, 0.80, 752.6),
}
_DEPTHS = {"u": 24.23, "g": 25.12, "r": 25.02, "i": 23.68}


def _depth(magnitude: float) -> PublishedDepth:
    meaning = "mean limit of the coadds, 5 sigma in an aperture of 2 arcsec"
    return PublishedDepth(magnitude, meaning, aperture=2.0)


surveys.register("kids-dr4")(
    Survey(
        name="kids-dr4",
        description="Kilo-Degree Survey, coadds of DR4, noise from the published depth",
        bands=tuple(
            build_band(f"kids-{name}", row, _CAMERA, _depth(_DEPTHS[name]))
            for name, row in _ROWS.items()
        ),
        citation="Kuijken et al. 2019, A&A 625, A2",
        kind="ground",
        area=1006.0,
        psf_correlation=0.3,
        sources={
            "area": "KiDS DR4 (Kuijken et al. 2019, A&A 625, A2): 1006 tiles; recalled",
            "psf_correlation": "assumed: nights differ between bands, season and airmass less so",
        },
    )
)
