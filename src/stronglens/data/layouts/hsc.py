"""HSC coadds of the public data releases: IMAGE, MASK and VARIANCE of one band in one file."""

from stronglens.data.layouts.layout import Layout, layouts

layouts.register("hsc", summary="HSC-SSP coadds (calexp), IMAGE, MASK, VARIANCE")(
    Layout(
        pattern=r"(?:calexp|deepCoadd|warp)-(?:HSC-)?(?P<band>[GRIZY]|NB\d+)2?-"
        r"(?P<tile>\d+-\d+,\d+)",
        source="Aihara et al. 2022, PASJ 74, 247 (PDR3); FLUXMAG0 of the coadds is 27 mag",
        roles={"image": "image", "mask": "mask", "variance": "variance"},
        family="hsc",
        zero_point=27.0,
        pixel_scale=0.168,
    )
)
