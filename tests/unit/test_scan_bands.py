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
