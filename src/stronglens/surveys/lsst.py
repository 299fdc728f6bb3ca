"""LSST as the mock images of 2015-2019 took it to be.

The Rubin numbers of today differ (0.20 arcsec pixels among them) and will stand here beside these.
"""

from stronglens.surveys.survey import Band, Survey, surveys

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
