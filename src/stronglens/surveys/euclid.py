"""Euclid's wide survey: the visible imager VIS and the near-infrared NISP."""

from stronglens.surveys.records import PublishedDepth, Survey
from stronglens.surveys.survey import surveys
from stronglens.surveys.tables import Camera, FilterRow, build_band, codex_sources

_DEPTH = "Scaramella et al. 2022 (A&A 662, A112) table 7, as in photerr 1.6.0"
_COMMON = {
    "n_exposures": "four dithers, lenstronomy 1.14.2, ObservationConfig/Euclid.py",
    "read_noise": "lenstronomy 1.14.2, ObservationConfig/Euclid.py",
    "psf_fwhm_scatter": "assumed: the telescope is stable",
    "depth_published": _DEPTH,
    "noise_scale": f"calibrated to the published depth: {_DEPTH}",
}
_AREA = {
    "area": "Euclid Wide Survey, about 14,000 deg^2; recalled",
    "psf_correlation": "assumed: the changes are the telescope's",
}

_VIS = Camera(
    pixel_scale=0.1,
    gain=3.1,
    read_noise=4.2,
    saturation=200000.0,
    psf_fwhm_scatter=0.02,
    sources=codex_sources("Euclid_VIS")
    | _COMMON
    | {
        "psf_fwhm": "surveycodex 1.3.0, Euclid_VIS: of images, pixel included; 0.13 in flight "
        "without it (Mellier et al. 2024, as in photerr 1.6.0)",
        "saturation": "16 bits at the gain above, rounded down",
    },
)
_NISP = Camera(
    pixel_scale=0.3,
    gain=2.0,
    read_noise=6.1,
    saturation=130000.0,
    psf_fwhm_scatter=0.02,
    bleeds=False,
    sources=codex_sources("Euclid_NISP")
    | _COMMON
    | {
        "psf_fwhm": "surveycodex 1.3.0, Euclid_NISP: of stacks, pixel included; 0.33-0.35 without "
        "it (Mellier et al. 2024, as in photerr 1.6.0)",
        "saturation": "16 bits at the gain above, rounded down",
        "bleeds": "HgCdTe array, each pixel read by itself",
    },
)

# rate zero point, sky, exposure time, exposures, PSF FWHM, wavelength, noise scale
_VIS_ROW = FilterRow(25.92, 22.3203, 565.0, 4, 0.17, 750.637, 1.152)
_NISP_ROWS = {
    "y": FilterRow(24.99, 22.1, 112.0, 4, 0.477, 1089.014, 2.410),
    "j": FilterRow(25.17, 22.2, 112.0, 4, 0.486, 1379.127, 2.261),
    "h": FilterRow(25.11, 22.3, 112.0, 4, 0.492, 1785.975, 2.462),
}
_NISP_DEPTHS = {"y": 24.3, "j": 24.5, "h": 24.4}

surveys.register("euclid-vis")(
    Survey(
        name="euclid-vis",
        description="Euclid Wide Survey, visible imager, four dithers",
        bands=(
            build_band(
                "euclid-vis",
                _VIS_ROW,
                _VIS,
                PublishedDepth(
                    26.2,
                    "5 sigma, point source; that it holds in an aperture of 1.3 arcsec is assumed",
                    aperture=1.3,
                ),
            ),
        ),
        citation="Euclid Collaboration: Scaramella et al. 2022, A&A 662, A112",
        kind="space",
        area=14000.0,
        psf_correlation=1.0,
        sources=_AREA,
    )
)
surveys.register("euclid-nisp")(
    Survey(
        name="euclid-nisp",
        description="Euclid Wide Survey, near-infrared photometer, four dithers",
        bands=tuple(
            build_band(
                f"euclid-{name}",
                row,
                _NISP,
                PublishedDepth(_NISP_DEPTHS[name], "5 sigma, point source"),
            )
            for name, row in _NISP_ROWS.items()
        ),
        citation="Euclid Collaboration: Scaramella et al. 2022, A&A 662, A112",
        kind="space",
        area=14000.0,
        psf_correlation=1.0,
        sources=_AREA,
    )
)
