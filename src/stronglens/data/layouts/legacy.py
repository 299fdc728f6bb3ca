"""Bricks of the DESI Legacy Imaging Surveys: image, invvar and psfsize per band, and maskbits."""

from stronglens.data.layouts.layout import Layout, layouts

_SATURATED = {"g": 2, "r": 3, "z": 4, "i": 14}
_ALL_MASKED = {"g": 5, "r": 6, "z": 7, "i": 15}

layouts.register("legacy", summary="Legacy Surveys bricks: image, invvar, psfsize, maskbits")(
    Layout(
        pattern=r"legacysurvey-(?P<tile>\d{4}[pm]\d{3})-"
        r"(?P<role>image|invvar|psfsize|maskbits|nexp|depth|galdepth|chi2|model|blobmodel)"
        r"(?:-(?P<band>[ugrizy]))?",
        source="legacysurvey.org/dr10/files and /bitmasks; Dey et al. 2019, AJ 157, 168",
        roles={
            "image": "image",
            "invvar": "ivar",
            "psfsize": "fwhm",
            "maskbits": "flags",
            **dict.fromkeys(
                ("nexp", "depth", "galdepth", "chi2", "model", "blobmodel", "wisem1", "wisem2"),
                "other",
            ),
        },
        family="legacy",
        # a pixel is bad in a band that is saturated there, or masked in all exposures
        bad_bits={
            "": 0,
            **{band: (1 << bit) | (1 << _ALL_MASKED[band]) for band, bit in _SATURATED.items()},
        },
        zero_point=22.5,
        pixel_scale=0.262,
    )
)
