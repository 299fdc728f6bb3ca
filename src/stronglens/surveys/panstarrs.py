"""Pan-STARRS1, the survey of three quarters of the sky."""

from stronglens.surveys.records import PublishedDepth, Survey
from stronglens.surveys.survey import surveys
from stronglens.surveys.tables import Camera, FilterRow, build_band, codex_sources

_CHAMBERS = "Chambers et al. 2016 (arXiv:1612.05560)"

_CAMERA = Camera(
    pixel_scale=0.258,
    gain=0.97,
    read_noise=5.0,
    saturation=60000.0,
    psf_fwhm_scatter=0.15,
    psf_beta=3.0,
    sources=codex_sources("PanSTARRS")
    | {
        "n_exposures": f"{_CHAMBERS}, 12 visits, as quoted in surveycodex 1.3.0",
        "read_noise": "recalled, not checked",
        "saturation": "16 bits at the gain above, rounded down",
        "psf_fwhm_scatter": "assumed: 10-15 % is usual from the ground",
        "psf_beta": "assumed: 2.5-3.5 is usual from the ground",
        "depth_published": f"{_CHAMBERS}, abstract",
        "noise_scale": f"calibrated to the published depth: {_CHAMBERS}, abstract",
    },
)

# rate zero point, sky, exposure time, exposures, PSF FWHM, wavelength, noise scale
_ROWS = {
    "g": FilterRow(25.15, 21.92, 43.0, 12, 1.47, 490.014, 1.633),
    "r": FilterRow(25.35, 20.83, 40.0, 12, 1.31, 624.127, 1.443),
    "i": FilterRow(25.33, 19.79, 45.0, 12, 1.19, 756.377, 1.182),
    "z": FilterRow(24.92, 19.24, 30.0, 12, 1.14, 869.008, 1.342),
    "y": FilterRow(23.93, 18.24, 30.0, 12, 1.09, 964.461, 1.285),
}
_DEPTHS = {"g": 23.3, "r": 23.2, "i": 23.1, "z": 22.3, "y": 21.4}


def _depth(magnitude: float) -> PublishedDepth:
    return PublishedDepth(magnitude, "mean of the stacks, 5 sigma, point source")


surveys.register("ps1")(
    Survey(
        name="ps1",
        description="Pan-STARRS1 3pi survey, stacks",
        bands=tuple(
            build_band(f"ps1-{name}", row, _CAMERA, _depth(_DEPTHS[name]))
            for name, row in _ROWS.items()
        ),
        citation="Chambers et al. 2016, arXiv:1612.05560",
        kind="ground",
        area=30000.0,
        psf_correlation=0.3,
        sources={
            "area": "outerspace.stsci.edu, page of the PS1 surveys: 30,000 deg^2",
            "psf_correlation": "assumed: nights differ between bands, season and airmass less so",
        },
    )
)
