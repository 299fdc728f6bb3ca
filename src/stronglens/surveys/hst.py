"""Hubble Space Telescope: ACS F814W as in COSMOS, and WFC3 F160W as in follow-up of lenses."""

from stronglens.surveys.records import PublishedDepth, Survey
from stronglens.surveys.survey import surveys
from stronglens.surveys.tables import Camera, FilterRow, build_band, codex_sources

_KOEKEMOER = "Koekemoer et al. 2007 (ApJS 172, 196), abstract"
_STABLE = "assumed: the focus moves by a few per cent with the orbit"
_WFC3_FILE = "lenstronomy 1.14.2, ObservationConfig/HST.py, WFC3 F160W"

_ACS = Camera(
    pixel_scale=0.03,
    gain=1.0,
    read_noise=3.0,
    saturation=84000.0,
    psf_fwhm_scatter=0.02,
    noise_correlation=0.383,
    sources=codex_sources("COSMOS")
    | {
        "n_exposures": "four dithers of an orbit, irsa.ipac.caltech.edu, COSMOS ACS 2.0",
        "read_noise": "5 e- of a native pixel (recalled), times 0.03 / 0.05 for the drizzled one",
        "saturation": "full well of the ACS handbook; recalled, not checked",
        "psf_fwhm_scatter": _STABLE,
        "noise_correlation": "computed from the overlap of drizzled drops, 0.8 of a native pixel "
        "(recalled), with pixels of 0.03 arcsec (Fruchter & Hook 2002)",
        "noise_scale": f"calibrated to the published depth: {_KOEKEMOER}",
        "depth_published": f"{_KOEKEMOER}; aperture recalled, not checked",
    },
)
_WFC3 = Camera(
    pixel_scale=0.08,
    gain=2.5,
    read_noise=4.0,
    saturation=78000.0,
    psf_fwhm_scatter=0.02,
    bleeds=False,
    sources={
        "pixel_scale": _WFC3_FILE,
        "gain": _WFC3_FILE,
        "read_noise": _WFC3_FILE,
        "sky_brightness": _WFC3_FILE,
        "zero_point": f"{_WFC3_FILE}: magnitude of 1 e-/s, times exposure_time / gain",
        "exposure_time": f"{_WFC3_FILE}: 5400 s in two orbits, taken as four exposures",
        "n_exposures": "assumed: two exposures in each of two orbits",
        "psf_fwhm": "WFC3 instrument handbook, table 7.5, at 1600 nm; recalled, not checked",
        "psf_fwhm_scatter": _STABLE,
        "saturation": "full well of the WFC3 handbook; recalled, not checked",
        "bleeds": "HgCdTe array, each pixel read by itself",
        "wavelength": "computed with the F160W curve in GalSim 2.8.5",
    },
)

# rate zero point, sky, exposure time, exposures, PSF FWHM, wavelength, noise scale
_F814W = FilterRow(25.94, 22.0, 507.0, 4, 0.095, 807.343, 1.751)
_F160W = FilterRow(25.96, 22.3, 1350.0, 4, 0.151, 1539.1)

surveys.register("hst-acs-f814w")(
    Survey(
        name="hst-acs-f814w",
        description="HST ACS F814W, one orbit, drizzled to 0.03 arcsec as in COSMOS",
        bands=(
            build_band(
                "hst-f814w",
                _F814W,
                _ACS,
                PublishedDepth(27.2, "5 sigma in an aperture of 0.24 arcsec", aperture=0.24),
            ),
        ),
        citation="Koekemoer et al. 2007, ApJS 172, 196",
        kind="space",
        area=1.64,
        psf_correlation=1.0,
        sources={"area": _KOEKEMOER, "psf_correlation": "one band"},
    )
)
surveys.register("hst-wfc3-f160w")(
    Survey(
        name="hst-wfc3-f160w",
        description="HST WFC3 F160W, two orbits, drizzled to 0.08 arcsec; no survey's depth",
        bands=(build_band("hst-f160w", _F160W, _WFC3, None),),
        citation="WFC3 Instrument Handbook, STScI",
        kind="space",
        psf_correlation=1.0,
        sources={"psf_correlation": "one band"},
    )
)
