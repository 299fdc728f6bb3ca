"""DESI Legacy Imaging Surveys, tenth release: DECam, south of declination 32 degrees.

The table of surveycodex has no entry; camera, filters and sky are those of its DES entry, the
exposures and depths are those of the DECam Legacy Survey.
"""

from stronglens.surveys.records import PublishedDepth, Survey
from stronglens.surveys.survey import surveys
from stronglens.surveys.tables import Camera, FilterRow, build_band

_DES = "surveycodex 1.3.0, DES (the same camera and filters)"
_PAGE = "legacysurvey.org/decamls, page of the DECam Legacy Survey"

_CAMERA = Camera(
    pixel_scale=0.262,
    gain=4.0,
    read_noise=7.0,
    saturation=130000.0,
    psf_fwhm_scatter=0.15,
    psf_beta=3.0,
    sources={
        "pixel_scale": "pixel scale of the coadds, Dey et al. 2019 (AJ 157, 168); recalled",
        "gain": _DES,
        "sky_brightness": _DES,
        "wavelength": _DES,
        "zero_point": f"{_DES}: magnitude of 1 e-/s, times exposure_time / gain",
        "exposure_time": f"{_PAGE}: average of a pass 87, 67, 100 s in g, r, z; 67 s in i assumed",
        "n_exposures": f"{_PAGE}: three passes; three in i assumed",
        "psf_fwhm": "Dey et al. 2019 (AJ 157, 168), medians of DECam; recalled; i assumed",
        "read_noise": "lenstronomy 1.14.2, ObservationConfig/DES.py",
        "saturation": "recalled full well of DECam, not checked",
        "psf_fwhm_scatter": "assumed: 10-15 % is usual from the ground",
        "psf_beta": "assumed: 2.5-3.5 is usual from the ground",
        "depth_published": f"{_PAGE}; none for i",
    },
)

# rate zero point, sky, exposure time, exposures, PSF FWHM, wavelength
_ROWS = {
    "g": FilterRow(26.72, 22.01, 87.0, 3, 1.29, 489.004),
    "r": FilterRow(26.99, 21.15, 67.0, 3, 1.18, 646.962),
    "i": FilterRow(26.86, 19.89, 67.0, 3, 1.15, 784.778),
    "z": FilterRow(26.58, 18.72, 100.0, 3, 1.11, 919.646),
}
_DEPTHS = {"g": 24.7, "r": 23.9, "z": 23.0}


def _depth(name: str) -> PublishedDepth | None:
    meaning = "aim of the DECam Legacy Survey, 5 sigma, point source"
    return PublishedDepth(_DEPTHS[name], meaning) if name in _DEPTHS else None


surveys.register("legacy-dr10")(
    Survey(
        name="legacy-dr10",
        description="DESI Legacy Imaging Surveys DR10, DECam with three passes",
        bands=tuple(
            build_band(f"legacy-{name}", row, _CAMERA, _depth(name)) for name, row in _ROWS.items()
        ),
        citation="Dey et al. 2019, AJ 157, 168",
        kind="ground",
        area=20000.0,
        psf_correlation=0.3,
        sources={
            "area": "legacysurvey.org/dr10/description: more than 20,000 deg^2",
            "psf_correlation": "assumed: nights differ between bands, season and airmass less so",
        },
    )
)
