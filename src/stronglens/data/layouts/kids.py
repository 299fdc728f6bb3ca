"""KiDS tiles: image, weight and mask of one band, one file each."""

from stronglens.data.layouts.layout import Layout, layouts

layouts.register("kids", summary="KiDS tiles: _sci, _wei, _msk per band")(
    Layout(
        pattern=r"KiDS_DR\d\.\d_(?P<tile>-?[\d.]+_-?[\d.]+)_(?P<band>u|g|r|i1|i2|i)_"
        r"(?P<role>sci|wei|msk)",
        source="kids.strw.leidenuniv.nl/DR4/format.php; Kuijken et al. 2019, A&A 625, A2",
        roles={"sci": "image", "wei": "weight", "msk": "flags"},
        bands={"i1": "i"},
        family="kids",
        # cores of saturated stars and bad pixels; haloes and spikes are light, not bad pixels
        bad_bits={"": 2 | 64},
        zero_point=0.0,
        pixel_scale=0.2,
    )
)
