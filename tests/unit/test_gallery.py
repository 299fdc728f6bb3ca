"""Pictures keep colour and show bad pixels; galleries keep every pixel."""

import io

import numpy as np
import pytest
from matplotlib.image import imread

from stronglens.core.errors import WrongShapeError
from stronglens.plots.gallery import gallery, picture

UNIT = np.ones(3)


def blob(colours, peak=100.0, height=9, width=12):
    """One bright pixel off the centre, of some colour, on an empty sky."""
    flux = np.zeros((len(colours), height, width))
    flux[:, 6, 2] = peak * np.asarray(colours)
    return flux


@pytest.mark.parametrize("peak", [2.0, 100.0, 1e5])
def test_a_colour_is_the_same_however_bright(peak):
    red = picture(blob((0.5, 1.0, 1.5), peak), UNIT, white=100.0)
    sky = picture(blob((0.5, 1.0, 1.5), 0.0), UNIT, white=100.0)[6, 2]
    r, g, b = (red[6, 2] - sky).tolist()
    assert r > g > b > 0
    # red over blue is 3 in flux; only where a picture is clipped to white's brightness less
    assert (r / b == pytest.approx(3.0, rel=0.02)) or red[6, 2].max() == pytest.approx(1.0)
    assert red[6, 2].max() <= 1.0


def test_what_has_the_colour_of_the_units_is_grey():
    unit = np.array([0.5, 1.0, 2.0])
    shown = picture(blob(unit), unit)
    np.testing.assert_allclose(shown.std(axis=-1), 0.0, atol=1e-6)


def test_one_band_is_dark_on_white():
    shown = picture(blob((1.0,)), np.ones(1))
    assert shown.shape == (9, 12, 3)
    assert shown[6, 2].max() < 0.1
    assert shown[0, 0].min() > 0.7


@pytest.mark.parametrize("n_bands", [1, 3])
def test_a_pixel_that_is_bad_in_all_bands_is_slate_whatever_is_there(n_bands):
    flux = blob((1.0,) * n_bands)
    flux[:, 1, 1] = np.nan
    mask = np.zeros(flux.shape, bool)
    mask[:, 6, 2] = True
    shown = picture(flux, np.ones(n_bands), mask)
    np.testing.assert_array_equal(shown[1, 1], shown[6, 2])
    assert shown[1, 1, 2] > shown[1, 1, 0]
    assert np.isfinite(shown).all()


def test_a_missing_band_leaves_a_haze_and_no_false_colour():
    mask = np.zeros((3, 9, 12), bool)
    mask[1] = True
    shown = picture(blob((1.0, 77.0, 1.0)), UNIT, mask)
    whole = picture(blob((1.0, 1.0, 1.0)), UNIT)
    slate = picture(blob((1.0, 1.0, 1.0)), UNIT, np.ones_like(mask))
    np.testing.assert_allclose(shown, whole * 2 / 3 + slate / 3, atol=1e-5)


@pytest.mark.parametrize(("n_bands", "n_units"), [(2, 2), (3, 1), (4, 4)])
def test_other_numbers_of_bands_are_refused(n_bands, n_units):
    with pytest.raises(WrongShapeError, match="one band or three"):
        picture(np.zeros((n_bands, 5, 6)), np.ones(n_units))


def test_every_pixel_of_a_picture_is_a_dot_of_the_figure():
    one = np.random.default_rng(0).random((9, 12, 3))
    figure = gallery({"lens": [one, 1 - one], "": [one]}, column_titles=("a", "b"))
    file = io.BytesIO()
    figure.savefig(file, format="png")
    file.seek(0)
    dots = imread(file)[..., :3]
    wanted = np.round(one[::-1] * 255) / 255  # rows of the figure go down
    found = [
        (y, x)
        for y in range(dots.shape[0] - 8)
        for x in range(dots.shape[1] - 11)
        if np.abs(dots[y : y + 9, x : x + 12] - wanted).max() < 0.01
    ]
    assert len(found) == 2
    assert len({x for _, x in found}) == 1


def test_pictures_of_several_sizes_are_refused():
    with pytest.raises(WrongShapeError, match="of one size"):
        gallery({"lens": [np.zeros((5, 5, 3)), np.zeros((5, 6, 3))]})
    with pytest.raises(WrongShapeError, match="of one size"):
        gallery({})
