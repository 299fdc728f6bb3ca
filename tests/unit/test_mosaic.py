"""Contact sheets are drawn for whatever images come."""

import io

import numpy as np
import pytest
from fits_toys import galaxy

from stronglens.core.errors import WrongShapeError
from stronglens.plots.mosaic import mosaic


def _pixels(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="rgba")
    width, height = (int(n) for n in figure.bbox.size)
    return np.frombuffer(buffer.getvalue(), np.uint8).reshape(height, width, 4)


@pytest.mark.parametrize("stretch", ["asinh", "linear"])
def test_sky_is_light_and_galaxy_dark(stretch):
    figure = mosaic([galaxy(64, 64) + 1000], stretch=stretch)
    axis = np.asarray(figure.axes[0].images[0].get_array())
    assert np.median(axis[:5]) < 0.35
    assert axis[30:34, 30:34].max() > 0.9


def test_awkward_images_are_drawn():
    images = [
        galaxy(30, 41),
        np.zeros((5, 9)),
        np.full((9, 5), np.nan),
        np.random.default_rng(0).random((8, 8, 3)),
        galaxy(1, 1),
    ]
    figure = mosaic(images, [f"a\n{k}" for k in range(5)], columns=3, footnote="long words " * 40)
    assert len([axis for axis in figure.axes if axis.axison]) == 5
    assert _pixels(figure).shape[2] == 4


def test_empty_page_still_carries_its_footnote():
    figure = mosaic([], [], footnote="Failed: 1 of 1.")
    assert figure.texts[0].get_text() == "Failed: 1 of 1."
    assert _pixels(figure).min() < 200


def test_images_are_read_like_a_page():
    figure = mosaic([galaxy(8, 8)] * 5, [str(k) for k in range(5)], columns=2)
    corners = [(axis.get_position().x0, -axis.get_position().y0) for axis in figure.axes[:5]]
    assert sorted(corners, key=lambda c: (round(c[1], 6), c[0])) == corners
    assert [axis.get_title() for axis in figure.axes[:5]] == list("01234")


def test_frames_take_their_colour():
    figure = mosaic([galaxy(8, 8)] * 2, frame_colours=["#ff0000", None])
    red, grey = (axis.spines["left"].get_edgecolor() for axis in figure.axes)
    assert red == (1.0, 0.0, 0.0, 1.0)
    assert grey[0] == grey[1] == grey[2]


def test_wrong_numbers_and_shapes_are_refused():
    with pytest.raises(WrongShapeError, match="titles has 1 entries for 2 images"):
        mosaic([galaxy(8, 8)] * 2, ["a"])
    with pytest.raises(WrongShapeError, match=r"shape \(2, 8, 8\)"):
        mosaic([np.zeros((2, 8, 8))])
