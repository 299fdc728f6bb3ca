"""Dark Energy Survey, second data release: DECam on the Blanco telescope."""

from stronglens.surveys.records import PublishedDepth, Survey
from stronglens.surveys.survey import surveys
from stronglens.surveys.tables import Camera, FilterRow, build_band, codex_sources

_DR2 = "DES DR2 (Abbott et al. 2021, ApJS 255, 20), abstract"

_CAMERA = Camera(
    pixel_scale=0.2637,
    gain=4.0,
    read_noise=7.0,
    saturation=130000.0,
    psf_fwhm_scatter=0.15,
    psf_beta=3.0,
    sources=codex_sources("DES")
    | {
        "n_exposures": "DES DR1 (arXiv:1801.03181) section 2.2, as quoted in surveycodex 1.3.0",
        "read_noise": "lenstronomy 1.14.2, ObservationConfig/DES.py",
        "saturation": "recalled full well of DECam, not checked",
        "psf_fwhm_scatter": "assumed: 10-15 % is usual from the ground",
        "psf_beta": "assumed: 2.5-3.5 is usual from the ground",
        "depth_published": _DR2,
        "noise_scale": f"calibrated to the published depth: {_DR2}",
    },
)

# rate zero point, sky, exposure time, exposures, PSF FWHM, wavelength, noise scale
_ROWS = {
    "g": FilterRow(26.72, 22.01, 90.0, 10, 1.12, 489.004, 1.215),
    "r": FilterRow(26.99, 21.15, 90.0, 10, 0.96, 646.962, 1.258),
    "i": FilterRow(26.86, 19.89, 90.0, 10, 0.88, 784.778, 1.166),
    "z": FilterRow(26.58, 18.72, 90.0, 10, 0.84, 919.646, 1.144),
    "y": FilterRow(25.56, 17.96, 45.0, 10, 0.90, 989.297, 1.288),
}
_DEPTHS = {"g": 24.7, "r": 24.4, "i": 23.8, "z": 23.1, "y": 21.7}


def _depth(magnitude: float) -> PublishedDepth:
    meaning = "median of the coadd catalogue, S/N 10 in an aperture of 1.95 arcsec"
    return PublishedDepth(magnitude, meaning, n_sigma=10.0, aperture=1.95)


surveys.register("des-dr2")(
    Survey(
        name="des-dr2",
        description="Dark Energy Survey, coadds of DR2",
        bands=tuple(
            build_band(f"des-{name}", row, _CAMERA, _depth(_DEPTHS[name]))
            for name, row in _ROWS.items()
        ),
        citation="Abbott et al. 2021, ApJS 255, 20",
        kind="ground",
        area=5000.0,
        psf_correlation=0.3,
        sources={
            "area": _DR2,
            "psf_correlation": "assumed: nights differ between bands, season and airmass less so",
        },
    )
)
