"""Images of the Bologna lens finding challenges: one file per object and band.

Challenge I: 101 x 101 pixels, u, g, r, i at 0.2 arcsec, or VIS at 0.1. Challenge II: VIS at 0.1 and
J, Y, H at 0.3 arcsec. Coordinates in the headers are offsets, not places on the sky.
"""

from stronglens.data.layouts.layout import Layout, layouts

_SOURCE = "Metcalf et al. 2019, A&A 625, A119; metcalf1.difa.unibo.it/blf-portal"

layouts.register("challenge-ground", summary="lens finding challenge I, ground: u, g, r, i")(
    Layout(
        pattern=r"imageSDSS_(?P<band>[URIG])-(?P<tile>\d+)",
        source=_SOURCE,
        family="kids",
        zero_point=0.0,
        pixel_scale=0.2,
        has_sky=False,
        holds_cutouts=True,
    )
)

layouts.register("challenge-space", summary="lens finding challenges, space: VIS, J, Y, H")(
    Layout(
        pattern=r"imageEUC_(?P<band>VIS|[YJH])-(?P<tile>\d+)",
        source=_SOURCE,
        family="euclid",
        zero_point=0.0,
        pixel_scale=0.1,
        has_sky=False,
        holds_cutouts=True,
    )
)
