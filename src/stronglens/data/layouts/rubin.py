"""Rubin coadds as ExposureF files: IMAGE, MASK and VARIANCE of one band in one file.

Pixels are in nanojansky (older ones give FLUXMAG0); names of mask planes stand in MP_ cards. The
PSF is in an archive that only Rubin's own software reads.
"""

from stronglens.data.layouts.layout import Layout, layouts

layouts.register("rubin", summary="Rubin deep coadds, ExposureF with IMAGE, MASK, VARIANCE")(
    Layout(
        pattern=r"(?:deep_?coadd|template_?coadd|goodSeeingCoadd)\w*?_"
        r"(?P<tile>\d+_\d+)_(?P<band>[ugrizy])(?:_.*)?",
        source="Rubin DP1 (RTN-095): deep_coadd; afw.image.ExposureF",
        roles={"image": "image", "mask": "mask", "variance": "variance"},
        family="lsst",
    )
)
