"""DES coadd tiles: SCI, MSK and WGT of one band in one file, and its PSFEx model."""

from stronglens.data.layouts.layout import Layout, layouts

layouts.register("des", summary="DES coadd tiles: SCI, MSK, WGT and PSFEx")(
    Layout(
        pattern=r"(?P<tile>DES\d{4}[+-]\d{4})(?:_r\d+p\d+)?_(?P<band>[grizY])"
        r"(?:_(?P<role>psfcat|psfex|nobkg))?",
        source="Abbott et al. 2021, ApJS 255, 20 (DR2); weights are inverse variances, MAGZERO 30",
        roles={"sci": "image", "msk": "flags", "wgt": "weight", "psfcat": "psf", "psfex": "psf"},
        family="des",
        zero_point=30.0,
        pixel_scale=0.263,
    )
)
