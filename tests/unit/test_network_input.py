"""What a network sees of an image: cut, binned, scaled by the noise, with what is known beside."""

import numpy as np
import pytest
import torch

from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.measurement.lens_image import LensImage
from stronglens.measurement.mock_frames import MockFrame, PsfShape
from stronglens.measurement.mock_images import MockChoices, draw_images
from stronglens.measurement.network_input import CONDITIONS, prepare, prepare_mocks
from stronglens.measurement.psf_numbers import psf_numbers, psf_width

PSF = PsfShape(0.2).observed(0.1).double().numpy()


def _image(height=60, width=60, scale=0.1, *, seed=1, **parts):
    rng = np.random.default_rng(seed)
    made = {
        "flux": rng.normal(0.0, 2.0, (height, width)),
        "sigma": np.full((height, width), 2.0),
        "mask": np.zeros((height, width), dtype=bool),
        "psf": PSF,
        "pixel_scale": scale,
        "name": "toy",
    }
    return LensImage(**(made | parts))


@pytest.mark.parametrize(("height", "width"), [(60, 60), (61, 63), (45, 64), (60, 51)])
def test_small_images_keep_their_pixels(height, width):
    image = _image(height, width)
    prepared = prepare(image)
    assert prepared.binning == 1
    assert prepared.flux.shape == (1, height, width)
    assert (prepared.x_offset, prepared.y_offset) == (0.0, 0.0)
    seen = prepared.view()
    assert seen.planes.shape == (1, 6, 64, 64)
    assert seen.conditions.shape == (1, len(CONDITIONS))


def test_binning_keeps_flux_and_noise():
    image = _image(200, 200, 0.05)
    prepared = prepare(image)
    assert prepared.binning == 2
    assert prepared.flux.shape == (1, 64, 64)
    cut = image.flux[36:164, 36:164]
    assert float(prepared.flux.sum()) == pytest.approx(cut.sum(), rel=1e-4, abs=1e-2)
    assert torch.allclose(prepared.sigma, torch.tensor(4.0))


def test_a_frame_off_the_middle_by_half_a_pixel_says_so():
    flux = np.zeros((201, 201))
    flux[100, 100] = 1.0
    prepared = prepare(_image(201, 201, 0.05, flux=flux, sigma=np.ones_like(flux)))
    y, x = (int(k) for k in np.unravel_index(int(prepared.flux[0].argmax()), (64, 64)))
    scale = prepared.image_scale
    x_found = (x - 31.5) * scale + prepared.x_offset
    y_found = (y - 31.5) * scale + prepared.y_offset
    # the middle pixel lies at 0, within half a binned pixel
    assert max(abs(x_found), abs(y_found)) <= 0.5 * scale + 1e-9
    assert abs(prepared.x_offset) == pytest.approx(0.025)


def test_a_smaller_field_is_cut_from_the_middle():
    prepared = prepare(_image(120, 120, 0.1), field=5.0)
    assert prepared.flux.shape == (1, 50, 50)
    assert prepared.binning == 1


def test_what_is_masked_or_not_a_number_is_not_seen():
    image = _image()
    mask = image.mask.copy()
    mask[10:14, 20:30] = True
    wild = image.flux.copy()
    wild[mask] = 1e6
    nans = image.flux.copy()
    nans[mask] = np.nan
    views = [
        prepare(image.replaced(flux=wild, mask=mask)).view(),
        prepare(image.replaced(flux=nans)).view(),
    ]
    assert torch.equal(views[0].planes, views[1].planes)
    assert torch.isfinite(views[0].planes).all()
    # the plane of known pixels is zero there
    assert float(views[0].planes[0, 3].sum()) == 3600 - 40


def test_units_of_the_image_do_not_matter():
    image = _image()
    larger = image.replaced(flux=image.flux * 1e3, sigma=image.sigma * 1e3)
    first, second = prepare(image).view(), prepare(larger).view()
    assert torch.allclose(first.planes, second.planes, atol=1e-4)
    assert torch.allclose(first.conditions, second.conditions, atol=1e-4)


def test_the_eight_views_of_a_turned_image_are_those_of_the_image():
    frame = MockFrame(0.12, 45, PsfShape(0.3), PsfShape(0.3, e1=0.08, e2=0.03))
    images = draw_images(3, 0, 1, MockChoices(frame=frame))
    first, second = (prepare_mocks(i).view(n) for i, n in ((images, 1), (images.turned(1), 0)))
    assert torch.equal(first.planes, second.planes)
    assert torch.allclose(first.conditions, second.conditions, atol=1e-5)


def test_mocks_and_their_lens_images_look_alike():
    images = draw_images(3, 1, 2, MockChoices(frame=MockFrame(0.12, 44, *[PsfShape(0.3)] * 2)))
    one, other = prepare_mocks(images).view(), prepare(images.lens_image(0)).view()
    assert torch.allclose(one.planes[:1], other.planes, atol=1e-4)
    assert torch.allclose(one.conditions[:1], other.conditions, atol=1e-4)


def test_an_image_without_a_good_pixel_is_refused():
    image = _image()
    for part in ({"flux": np.full_like(image.flux, np.nan)}, {"mask": ~image.mask}):
        with pytest.raises(OutOfRangeError, match=r"image 'toy' has no good pixel"):
            prepare(image.replaced(**part))


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(WrongShapeError, match="Pass three arrays of one shape"):
        _image(sigma=np.ones((3, 4)))
    with pytest.raises(WrongShapeError, match="odd height and width"):
        _image(psf=np.ones((4, 5)))
    with pytest.raises(OutOfRangeError, match=r"pixel_scale=0\.0"):
        _image(scale=0.0)


def test_the_width_of_a_gaussian_psf_is_its_fwhm():
    offset = (torch.arange(41) - 20.0) * 0.05
    sigma = 0.5 / 2.3548
    line = torch.exp(-0.5 * (offset / sigma) ** 2)
    assert psf_width(line[:, None] * line[None], 0.05) == pytest.approx(0.5, rel=1e-3)


def test_psf_numbers_turn_with_the_psf():
    kernel = PsfShape(0.5, 3.0, 0.1, 0.04).observed(0.1)[1:]
    numbers = psf_numbers(kernel, 0.1)
    turned = psf_numbers(torch.rot90(kernel, 1), 0.1)
    assert torch.allclose(turned[2:4], -numbers[2:4], atol=1e-6)
    assert torch.allclose(turned[[0, 1, 4, 5, 6, 7]], numbers[[0, 1, 4, 5, 6, 7]], atol=1e-6)
    assert float(numbers[2]) > 0.05


def test_a_psf_without_light_is_refused():
    with pytest.raises(OutOfRangeError, match="the PSF sums to 0"):
        psf_width(torch.zeros(3, 3), 0.1)
