"""Which bands of an image a finder is shown."""

import pytest

from stronglens.core.errors import UnknownNameError, WrongShapeError
from stronglens.scanning.bands import choose_bands


def test_own_band_then_nearest():
    assert choose_bands(["hsc-r", "hsc-g"], ["hsc-g"]) == ((1,), ())
    assert choose_bands(["ps1-r", "ps1-g"], ["lsst-g"]) == ((1,), ())
    assert choose_bands(["ps1-i", "ps1-r", "ps1-g"], ["lsst-g", "lsst-r", "lsst-i"])[0] == (2, 1, 0)


def test_far_and_unnamed_bands_are_remarked_upon():
    indices, remarks = choose_bands(["euclid-h"], ["lsst-g"])
    assert indices == (0,)
    assert remarks == ("band euclid-h (1771 nm) is far from the finder's lsst-g (481 nm)",)
    assert choose_bands([""], ["lsst-g"])[1] == ("band not named in the file; taken for lsst-g",)


def test_band_asked_for_is_used():
    assert choose_bands(["ps1-r", "ps1-g"], ["lsst-g"], ["r"])[0] == (0,)
    assert choose_bands([""], ["lsst-g"], ["g"])[0] == (0,)
    with pytest.raises(UnknownNameError, match="no band 'u' in the image, which has ps1-r,ps1-g"):
        choose_bands(["ps1-r", "ps1-g"], ["lsst-g"], ["u"])
    with pytest.raises(WrongShapeError, match="--band names 2 bands"):
        choose_bands(["ps1-r", "ps1-g"], ["lsst-g"], ["g", "r"])


def test_too_few_or_nameless_bands_are_refused():
    with pytest.raises(WrongShapeError, match="wrong number of bands: the image has ps1-g, but"):
        choose_bands(["ps1-g"], ["lsst-g", "lsst-r"])
    with pytest.raises(UnknownNameError, match="--plane-bands"):
        choose_bands(["", "", ""], ["lsst-g"])


def test_a_finder_that_has_learnt_it_does_without_one_band():
    wanted = ["kids-u", "kids-g", "kids-r", "kids-i"]
    indices, remarks = choose_bands(["legacy-g", "legacy-r", "legacy-z"], wanted, may_lack=True)
    assert indices == (None, 0, 1, 2)
    assert remarks[0] == "the image has no band like the finder's kids-u, which does without"
    assert remarks[1].startswith("band legacy-z (915 nm) is far")
    with pytest.raises(WrongShapeError, match="wrong number of bands"):
        choose_bands(["legacy-g", "legacy-r", "legacy-z"], wanted)


@pytest.mark.parametrize("available", [["r", "i"], ["g"]])
def test_no_finder_does_without_two_bands_or_its_only_one(available):
    with pytest.raises(WrongShapeError, match="wrong number of bands"):
        choose_bands(available, ["kids-u", "kids-g", "kids-r", "kids-i"], may_lack=True)
    assert choose_bands(["euclid-h"], ["lsst-g"], may_lack=True)[0] == (0,)


def test_no_band_stands_for_two():
    wanted = [f"lsst-{band}" for band in "ugrizy"]
    available = [f"kids-{band}" for band in "ugri"]
    with pytest.raises(WrongShapeError, match="wrong number of bands"):
        choose_bands(available, wanted, may_lack=True)
    indices, _ = choose_bands([*available, "kids-z"], wanted, may_lack=True)
    assert indices == (0, 1, 2, 3, 4, None)
