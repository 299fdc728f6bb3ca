"""Which finder of the package suits an image, and that those there are can be read."""

from pathlib import Path

import pytest

from stronglens.core.errors import UnknownNameError
from stronglens.finders.finder import FinderFacts, load_finder
from stronglens.finders.networks import Architecture
from stronglens.finders.shipped import (
    FOLDER,
    ShippedFinder,
    choose_finder,
    shipped_finder,
    shipped_finders,
)

MOST_BYTES = 4_000_000
ALL_BYTES = 25_000_000


def entry(
    name: str, bands: tuple[str, ...], pixel_scale: float, *, lacks: bool = False
) -> ShippedFinder:
    facts = FinderFacts(
        network="resnet-small",
        architecture=Architecture(8, 1, 0.0),
        bands=bands,
        height=45,
        width=45,
        pixel_scale=pixel_scale,
        zero_point=30.0,
        takes_missing_bands=lacks,
    )
    return ShippedFinder(name, Path(f"{name}.safetensors"), facts, {})


FINDERS = [
    entry("ground-g", ("lsst-g",), 0.18),
    entry("ground-gri", ("kids-g", "kids-r", "kids-i"), 0.2),
    entry("ground-ugri", ("kids-u", "kids-g", "kids-r", "kids-i"), 0.2, lacks=True),
    entry("lsst", tuple(f"lsst-{band}" for band in "ugrizy"), 0.2, lacks=True),
    entry("space", ("euclid-vis",), 0.1),
    entry("sharp", ("hst-f814w",), 0.05),
    entry("pictures", ("rgb-r", "rgb-g", "rgb-b"), 0.15),
]


@pytest.mark.parametrize(
    ("bands", "pixel_scale", "name"),
    [
        (("ps1-g", "ps1-r", "ps1-i"), 0.25, "ground-gri"),
        (("u", "g", "r", "i", "z"), 0.186, "ground-ugri"),
        (("u", "g", "r", "i", "z", "y"), 0.2, "lsst"),
        (("kids-u", "kids-g", "kids-r", "kids-i"), 0.3, "ground-ugri"),
        (("g", "r", "i", "z"), 0.186, "ground-gri"),
        (("legacy-g", "legacy-r", "legacy-z"), 0.262, "ground-gri"),
        (("cfhtls-u", "cfhtls-g", "cfhtls-r"), 0.186, "ground-ugri"),
        (("cfhtls-r",), 0.186, "ground-g"),
        (("hsc-g",), 0.168, "ground-g"),
        (("euclid-vis",), 0.1, "space"),
        (("hst-f814w",), 0.04, "sharp"),
        (("hst-f814w",), 0.08, "sharp"),
        (("rgb-r", "rgb-g", "rgb-b"), None, "pictures"),
    ],
)
def test_the_nearest_finder_is_chosen(
    bands: tuple[str, ...], pixel_scale: float | None, name: str
) -> None:
    chosen, reason = choose_finder(bands, pixel_scale, FINDERS)
    assert chosen.name == name
    assert name in reason
    assert bands[0] in reason


@pytest.mark.parametrize(
    ("bands", "pixel_scale"), [(("jwst-f444w",), 0.06), (("g",), 1.0), (("",), None)]
)
def test_an_image_that_suits_none_is_refused(
    bands: tuple[str, ...], pixel_scale: float | None
) -> None:
    with pytest.raises(UnknownNameError, match="Pass --finder"):
        choose_finder(bands, pixel_scale, FINDERS)


def test_a_finder_of_flux_is_not_given_pictures_nor_the_other_way_round() -> None:
    flux = [finder for finder in FINDERS if finder.name != "pictures"]
    with pytest.raises(UnknownNameError, match="Pass --finder"):
        choose_finder(("rgb-r", "rgb-g", "rgb-b"), 0.15, flux)
    with pytest.raises(UnknownNameError, match="Pass --finder"):
        choose_finder(("kids-g", "kids-r", "kids-i"), 0.15, FINDERS[-1:])


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="no-such"):
        shipped_finder("no-such")


@pytest.mark.parametrize("name", sorted(file.stem for file in FOLDER.glob("*.safetensors")))
def test_each_finder_has_weights_a_recipe_and_a_card(name: str) -> None:
    shipped = shipped_finder(name)
    assert shipped.path.stat().st_size <= MOST_BYTES
    assert shipped.path.with_suffix(".toml").is_file()
    assert {"summary", "validity", "commit", "metrics", "test_data"} <= set(shipped.card)
    assert load_finder(shipped.path).facts == shipped.facts


def test_all_weights_together_are_small() -> None:
    assert sum(finder.path.stat().st_size for finder in shipped_finders()) <= ALL_BYTES
