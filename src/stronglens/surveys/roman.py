"""Roman Space Telescope, High-Latitude Wide-Area Survey, medium tier."""

from stronglens.surveys.records import PublishedDepth, Survey
from stronglens.surveys.survey import surveys
from stronglens.surveys.tables import Camera, FilterRow, build_band, codex_sources

_DEPTH = "ROTAC report of April 2025, appendix C.1, medium tier, as in photerr 1.6.0"

_CAMERA = Camera(
    pixel_scale=0.11,
    gain=1.67,
    read_noise=8.5,
    saturation=100000.0,
    psf_fwhm_scatter=0.02,
    bleeds=False,
    sources=codex_sources("Roman_WFI")
    | {
        "n_exposures": "three dithers in two passes, surveycodex 1.3.0, Roman_WFI",
        "read_noise": "lenstronomy 1.14.2, ObservationConfig/Roman.py",
        "saturation": "recalled full well, not checked",
        "psf_fwhm_scatter": "assumed: the telescope is stable",
        "bleeds": "HgCdTe array, each pixel read by itself",
        "depth_published": _DEPTH,
        "noise_scale": f"calibrated to the published depth: {_DEPTH}",
    },
)

# rate zero point, sky, exposure time, exposures, PSF FWHM, wavelength, noise scale
_ROWS = {
    "f106": FilterRow(26.32, 22.92, 107.0, 6, 0.087, 1073.633, 2.763),
    "f129": FilterRow(26.32, 22.96, 107.0, 6, 0.106, 1296.861, 2.711),
    "f158": FilterRow(26.32, 23.06, 107.0, 6, 0.128, 1596.115, 2.412),
}
_DEPTHS = {"f106": 26.5, "f129": 26.4, "f158": 26.4}


surveys.register("roman-hlwas")(
    Survey(
        name="roman-hlwas",
        description="Roman High-Latitude Wide-Area Survey, medium tier",
        bands=tuple(
            build_band(
                f"roman-{name}",
                row,
                _CAMERA,
                PublishedDepth(_DEPTHS[name], "5 sigma, point source"),
            )
            for name, row in _ROWS.items()
        ),
        citation="ROTAC final report 2025; roman-docs.stsci.edu, High-Latitude Wide-Area Survey",
        kind="space",
        area=2400.0,
        psf_correlation=1.0,
        sources={
            "area": "medium tier, about 2400 deg^2; recalled",
            "psf_correlation": "assumed: the changes are the telescope's",
        },
    )
)
