"""Canada-France-Hawaii Telescope Legacy Survey, Wide part: MegaCam."""

from stronglens.surveys.records import PublishedDepth, Survey
from stronglens.surveys.survey import surveys
from stronglens.surveys.tables import Camera, FilterRow, build_band, codex_sources

_CAMERA = Camera(
    pixel_scale=0.187,
    gain=1.67,
    read_noise=5.0,
    saturation=109000.0,
    psf_fwhm_scatter=0.12,
    psf_beta=3.0,
    sources=codex_sources("CFHTLS")
    | {
        "n_exposures": "usual numbers of a stack, whose product with the length of an exposure is "
        "surveycodex's total; recalled",
        "read_noise": "recalled, not checked",
        "saturation": "16 bits at the gain above",
        "psf_fwhm_scatter": "assumed: 10-15 % is usual from the ground",
        "psf_beta": "assumed: 2.5-3.5 is usual from the ground",
        "noise_scale": "calibrated to the published depth, which is recalled",
        "depth_published": "CFHTLenS (Erben et al. 2013, MNRAS 433, 2545), table 1; recalled, not "
        "checked. T0007 states 80 % completeness at 25.2, 25.5, 25.0, 24.8, 23.9 (read)",
    },
)

# rate zero point, sky, exposure time, exposures, PSF FWHM, wavelength, noise scale
_ROWS = {
    "u": FilterRow(25.78, 21.2, 600.0, 5, 0.85, 382.329, 1.222),
    "g": FilterRow(27.11, 21.3, 500.0, 5, 0.78, 487.737, 1.585),
    "r": FilterRow(26.74, 20.8, 500.0, 4, 0.71, 623.062, 1.810),
    "i": FilterRow(26.22, 20.3, 615.0, 7, 0.64, 761.766, 2.272),
    "z": FilterRow(25.02, 19.4, 600.0, 6, 0.68, 882.798, 2.134),
}
_DEPTHS = {"u": 25.24, "g": 25.58, "r": 24.88, "i": 24.54, "z": 23.46}


def _depth(magnitude: float) -> PublishedDepth:
    return PublishedDepth(magnitude, "mean limit, 5 sigma in an aperture of 2 arcsec", aperture=2.0)


surveys.register("cfhtls")(
    Survey(
        name="cfhtls",
        description="CFHT Legacy Survey, Wide, as in T0007",
        bands=tuple(
            build_band(f"cfhtls-{name}", row, _CAMERA, _depth(_DEPTHS[name]))
            for name, row in _ROWS.items()
        ),
        citation="Hudelot et al. 2012, VizieR II/317; Erben et al. 2013, MNRAS 433, 2545",
        kind="ground",
        area=155.0,
        psf_correlation=0.3,
        sources={
            "area": "CFHTLS T0007 executive summary (cfht.hawaii.edu)",
            "psf_correlation": "assumed: nights differ between bands, season and airmass less so",
        },
    )
)
