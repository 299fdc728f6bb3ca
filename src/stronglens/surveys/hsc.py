"""Hyper Suprime-Cam Subaru Strategic Program, third public release, Wide layer."""

from stronglens.surveys.records import PublishedDepth, Survey
from stronglens.surveys.survey import surveys
from stronglens.surveys.tables import Camera, FilterRow, build_band, codex_sources

_PDR3 = "HSC-SSP PDR3 (Aihara et al. 2022, PASJ 74, 247)"

_CAMERA = Camera(
    pixel_scale=0.168,
    gain=3.0,
    read_noise=4.5,
    saturation=150000.0,
    psf_fwhm_scatter=0.15,
    psf_beta=3.0,
    sources=codex_sources("HSC")
    | {
        "n_exposures": "4 in g and r, 6 in i, z, y (Aihara et al. 2018, PASJ 70, S4); recalled",
        "read_noise": "recalled, not checked",
        "saturation": "recalled full well, not checked",
        "psf_fwhm_scatter": "assumed: 10-15 % is usual from the ground",
        "psf_beta": "assumed: 2.5-3.5 is usual from the ground",
        "depth_published": f"{_PDR3}, table of the Wide layer; recalled, not checked",
    },
)

# rate zero point, sky, exposure time, exposures, PSF FWHM, wavelength
_ROWS = {
    "g": FilterRow(28.90, 21.4, 150.0, 4, 0.79, 484.370),
    "r": FilterRow(28.86, 20.6, 150.0, 4, 0.75, 625.889),
    "i": FilterRow(28.61, 19.7, 200.0, 6, 0.61, 773.009),
    "z": FilterRow(27.68, 18.3, 200.0, 6, 0.68, 891.239),
    "y": FilterRow(27.34, 17.9, 200.0, 6, 0.68, 978.695),
}
_DEPTHS = {"g": 26.5, "r": 26.5, "i": 26.2, "z": 25.2, "y": 24.4}


def _depth(magnitude: float) -> PublishedDepth:
    return PublishedDepth(magnitude, "Wide layer at full depth, 5 sigma, point source")


surveys.register("hsc-pdr3")(
    Survey(
        name="hsc-pdr3",
        description="Hyper Suprime-Cam survey, Wide layer of PDR3",
        bands=tuple(
            build_band(f"hsc-{name}", row, _CAMERA, _depth(_DEPTHS[name]))
            for name, row in _ROWS.items()
        ),
        citation="Aihara et al. 2022, PASJ 74, 247",
        kind="ground",
        area=670.0,
        psf_correlation=0.3,
        sources={
            "area": f"{_PDR3}, abstract: full depth in all five bands",
            "psf_correlation": "assumed: nights differ between bands, season and airmass less so",
        },
    )
)
