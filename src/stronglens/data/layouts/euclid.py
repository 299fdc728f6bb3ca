"""Euclid MER mosaics: background-subtracted image, RMS and FLAG, one file each per band."""

from stronglens.data.layouts.layout import Layout, layouts

layouts.register("euclid", summary="Euclid MER mosaics BGSUB-MOSAIC, RMS, FLAG")(
    Layout(
        pattern=r"EUC_MER_(?:BGSUB-)?MOSAIC-(?P<band>VIS|NIR-[YJH]|"
        r"(?:DES|DECAM|MEGACAM|HSC|PANSTARRS|JPCAM|WISHES|GPC|LSST)-\w+?)"
        r"(?:-(?P<role>RMS|FLAG))?_TILE(?P<tile>\d+)(?:-.*)?",
        source="Euclid Data Product Description, MER; Romelli et al. 2025 (Q1)",
        roles={"rms": "sigma", "flag": "flags"},
        bands={
            "vis": "euclid-vis",
            "nir-y": "euclid-y",
            "nir-j": "euclid-j",
            "nir-h": "euclid-h",
            **{f"decam-{name}": f"des-{name}" for name in "griz"},
            **{f"megacam-{name}": f"cfis-{name}" for name in "ur"},
            **{f"panstarrs-{name}": f"ps1-{name}" for name in "iz"},
            **{f"wishes-{name}": f"hsc-{name}" for name in "gz"},
        },
        family="euclid",
        pixel_scale=0.1,
    )
)
