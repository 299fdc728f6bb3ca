"""LSST: as the mock images of 2015-2019 took it to be, and by the Rubin numbers of today.

The two differ, 0.20 arcsec pixels among it.
"""

import dataclasses
import math
from collections.abc import Callable

from stronglens.surveys.records import Band, PublishedDepth, Survey
from stronglens.surveys.survey import surveys
from stronglens.surveys.tables import Camera, FilterRow, build_band, codex_sources

_COLLETT = "Collett 2015 (ApJ 811, 20), observation settings for LSST"
_SEEING = (
    "LSST Science Requirements median of g; log-normal scatter of 12 % (surveycodex 1.3, g band)"
)

_G = Band(
    name="lsst-g",
    pixel_scale=0.18,
    zero_point=30.0,
    exposure_time=25.0,
    n_exposures=120,
    sky_brightness=21.7,
    gain=4.5,
    read_noise=10.0,
    psf_fwhm=0.86,
    psf_fwhm_scatter=0.12,
    sources={
        "pixel_scale": _COLLETT,
        "zero_point": f"{_COLLETT}: 30 for 25 s",
        "exposure_time": _COLLETT,
        "n_exposures": f"{_COLLETT}: 3000 s in g, in exposures of 25 s",
        "sky_brightness": f"{_COLLETT}: nominal g sky",
        "gain": _COLLETT,
        "read_noise": f"{_COLLETT}: 10 electrons",
        "psf_fwhm": _SEEING,
        "psf_fwhm_scatter": _SEEING,
    },
)

surveys.register("lsst-deck")(
    Survey(
        name="lsst-deck",
        description="LSST g at 0.18 arcsec/pixel, one exposure or the 10-year stack, as in 2017",
        bands=(_G,),
        citation="Collett 2015, ApJ 811, 20; LSST Science Collaboration 2009, arXiv:0912.0201",
    )
)

_IVEZIC = "Ivezić et al. 2019 (ApJ 873, 111)"

_CAMERA = Camera(
    pixel_scale=0.2,
    gain=1.0,
    read_noise=10.0,
    saturation=100000.0,
    psf_fwhm_scatter=0.12,
    psf_beta=4.765,
    sources=codex_sources("LSST")
    | {
        "exposure_time": f"one visit, {_IVEZIC}, as quoted in surveycodex 1.3.0",
        "n_exposures": f"{_IVEZIC}, table 1, visits in ten years (surveycodex 1.3.0), in "
        "proportion for fewer",
        "read_noise": "lenstronomy 1.14.2, ObservationConfig/LSST.py; the camera stays below",
        "saturation": "recalled full well, not checked",
        "psf_fwhm_scatter": "assumed: 10-15 % is usual from the ground",
        "psf_beta": "Kolmogorov turbulence (Trujillo et al. 2001, MNRAS 328, 977)",
    },
)

# rate zero point, sky, visit, visits in ten years, PSF FWHM, wavelength
_ROWS = {
    "u": FilterRow(26.44, 22.99, 30.0, 56, 0.90, 368.141),
    "g": FilterRow(28.29, 22.26, 30.0, 80, 0.86, 486.412),
    "r": FilterRow(28.13, 21.20, 30.0, 184, 0.81, 624.976),
    "i": FilterRow(27.81, 20.48, 30.0, 184, 0.79, 756.469),
    "z": FilterRow(27.42, 19.60, 30.0, 160, 0.77, 870.164),
    "y": FilterRow(26.59, 18.61, 30.0, 160, 0.76, 972.202),
}
_VISIT_DEPTHS = {"u": 23.78, "g": 24.81, "r": 24.35, "i": 23.92, "z": 23.34, "y": 22.45}
_STACK_DEPTHS = {"u": 26.1, "g": 27.4, "r": 27.5, "i": 26.8, "z": 26.1, "y": 24.9}


def _visit_depth(name: str, n_visits: int) -> PublishedDepth:
    """Return the depth of a visit, made deeper by sqrt(n_visits)."""
    meaning = "5 sigma, point source, at zenith; table 2"
    if n_visits > 1:
        meaning += f", for {n_visits} visits by 1.25 log10(n)"
    return PublishedDepth(_VISIT_DEPTHS[name] + 1.25 * math.log10(n_visits), meaning)


def _stack_depth(name: str, _: int) -> PublishedDepth:
    return PublishedDepth(_STACK_DEPTHS[name], "5 sigma, point source, ten years; table 1")


def _bands(
    years: float, depth: Callable[[str, int], PublishedDepth], source: str
) -> tuple[Band, ...]:
    """Return ugrizy after a number of years, of one visit where that is none."""
    camera = dataclasses.replace(_CAMERA, sources=_CAMERA.sources | {"depth_published": source})
    bands = []
    for name, row in _ROWS.items():
        n_visits = max(1, round(row.n_exposures * years / 10.0))
        short = dataclasses.replace(row, n_exposures=n_visits)
        bands.append(build_band(f"lsst-{name}", short, camera, depth(name, n_visits)))
    return tuple(bands)


def _register(name: str, description: str, bands: tuple[Band, ...]) -> None:
    surveys.register(name)(
        Survey(
            name=name,
            description=description,
            bands=bands,
            citation="Ivezić et al. 2019, ApJ 873, 111",
            kind="ground",
            area=18000.0,
            psf_correlation=0.3,
            sources={
                "area": f"{_IVEZIC}: the main survey",
                "psf_correlation": "assumed: nights differ between bands, season less so",
            },
        )
    )


_VISIT_SOURCE = f"{_IVEZIC}, table 2; equals its eq. 6 with the numbers in photerr 1.6.0"
_register("lsst-visit", "LSST, one visit of 30 s", _bands(0.0, _visit_depth, _VISIT_SOURCE))
_register("lsst-y1", "LSST, stack of the first year", _bands(1.0, _visit_depth, _VISIT_SOURCE))
_register(
    "lsst-y10",
    "LSST, stack of ten years",
    _bands(10.0, _stack_depth, f"{_IVEZIC}, table 1; recalled, not checked"),
)
