"""What may be wrong with the pixels of a cutout, and the words for it."""

import numpy as np
import pytest
from fits_toys import cutout, galaxy

from stronglens.data.cutout import fault, stack_kernels


def _with(change):
    image = galaxy(45, 45)
    change(image)
    return image


def _set(*index, value):
    def change(image):
        image[index] = value

    return change


BAD = {
    "NaN in 1 of 2025 pixels": _with(_set(3, 4, value=np.nan)),
    "infinite values in 1 of 2025": _with(_set(3, 4, value=np.inf)),
    "all pixels are zero": np.zeros((45, 45)),
    "67 % of pixels are zero": _with(_set(slice(0, 30), value=0)),
    "constant value 7": np.full((45, 45), 7.0),
    "too small: 5x45 pixels": galaxy(5, 45),
}


@pytest.mark.parametrize("text", BAD)
def test_bad_pixels_are_named(text):
    reason = fault(cutout(BAD[text]))
    assert reason is not None
    assert text in reason
    assert reason.endswith(".")


def test_good_pixels_have_no_fault():
    assert fault(cutout(galaxy(45, 45))) is None
    assert fault(cutout(galaxy(44, 61), zero_point=np.nan)) is None


def test_masked_field_and_masked_centre_are_named():
    mask = np.zeros((45, 45), bool)
    mask[:30] = True
    assert "67 % of the field is masked" in fault(cutout(galaxy(45, 45), mask=mask))
    mask = np.zeros((45, 45), bool)
    mask[17:28, 17:28] = True
    assert "of the centre are masked" in fault(cutout(galaxy(45, 45), mask=mask))
    mask = np.zeros((45, 45), bool)
    mask[:5, :5] = True
    assert fault(cutout(galaxy(45, 45), mask=mask)) is None


@pytest.mark.parametrize(
    ("n", "wanted", "kept"), [(45, 21, 21), (45, 20, 21), (44, 21, 22), (9, 20, 9)]
)
def test_central_part_keeps_the_centre(n, wanted, kept):
    rows, _ = cutout(np.zeros((n, 12))).rows_and_columns(wanted, 12)
    assert rows.stop - rows.start == kept
    assert rows.start + rows.stop == n


def test_kernels_come_on_one_odd_grid():
    odd = np.zeros((3, 5))
    odd[1, 2] = 4.0
    even = np.zeros((4, 4))
    even[2, 1] = 2.0
    stacked = stack_kernels([odd, None, even])
    assert stacked is not None
    assert stacked.shape == (3, 5, 5)
    assert stacked[0, 2, 2] == 1.0
    assert stacked[1].sum() == 0.0
    assert stacked[2, 2, 2] == 1.0
    assert stack_kernels([None]) is None
