"""Simulated images for posteriors: physics, reproducibility and what is told about them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stronglens.core.conventions import axis_ratio_from_ellipticity
from stronglens.core.errors import OutOfRangeError, UnknownNameError
from stronglens.lensing.records import SieShear
from stronglens.measurement.frozen_sets import FROZEN_SETS, frozen_set
from stronglens.measurement.mock_batches import PoolBatches, Pools
from stronglens.measurement.mock_frames import LARGEST_SIDE, MockFrame, PsfShape, draw_frame
from stronglens.measurement.mock_images import (
    MockChoices,
    draw_exposures,
    draw_images,
    render_planes,
)
from stronglens.measurement.mock_scenes import Source, draw_scenes
from stronglens.simulation.render import Grid, observe_planes, render_lensed, render_light

FRAME = MockFrame(0.12, 45, PsfShape(0.3, e1=0.05), PsfShape(0.3, e1=0.05))
SMALL = MockChoices(frame=FRAME)


def _scenes(n=4, *, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return draw_scenes(generator, torch.tensor([[0.6, 2.0]]).expand(n, 2), FRAME.field)


def _plain(scenes):
    """The same scenes isothermal, without clumps, texture or boxiness."""
    truth = {**scenes.truth, "slope": torch.full_like(scenes.truth["slope"], 2.0)}
    smooth = Source(scenes.source.smooth, None, torch.zeros_like(scenes.boxiness), None)
    flat = torch.zeros_like(scenes.boxiness)
    return replace(scenes, truth=truth, source=smooth, boxiness=flat)


def test_arcs_and_light_are_those_of_the_renderer():
    scenes = _plain(_scenes())
    arcs, light = render_planes(scenes, FRAME, oversample=3)
    grid = Grid(45, 45, FRAME.image_scale, 3, padding=1, center_oversample=1)
    truth = scenes.truth
    q, phi = axis_ratio_from_ellipticity(truth["e1"], truth["e2"])
    names = ("theta_e", "x_center", "y_center", "gamma1", "gamma2")
    lens = SieShear(q=q, phi=phi, **{name: truth[name] for name in names})
    planes = render_lensed(grid, lens, scenes.source.smooth), render_light(grid, scenes.light)
    kernel = FRAME.psf.kernel(grid.fine_scale, 2 * round(3 * 0.3 / grid.fine_scale + 0.5) + 1)
    expected = observe_planes(planes, kernel, grid)
    assert torch.allclose(arcs, expected[0], atol=2e-3 * float(arcs.max()))
    has_none = scenes.neighbours.flux.sum(dim=1) == 0
    assert has_none.any()
    assert torch.allclose(light[has_none], expected[1][has_none], atol=1e-5)


def test_turning_images_turns_what_they_show():
    images = draw_images(3, 0, 2, SMALL)
    turned = images.turned(1)
    scenes = _plain(_scenes())
    x, y = (scenes.source.smooth.x_center[:, 0], scenes.source.smooth.y_center[:, 0])
    labels = replace(images, truth=scenes.truth, flux=images.flux).turned(1).truth
    assert torch.equal(labels["beta_x"], y)
    assert torch.equal(labels["beta_y"], -x)
    assert torch.equal(turned.flux, torch.rot90(images.flux, 1, dims=(-2, -1)))
    kernel = turned.frame.psf.kernel(0.05, 21)
    assert torch.allclose(kernel, torch.rot90(images.frame.psf.kernel(0.05, 21), 1), atol=1e-7)


def test_a_scene_with_turned_labels_is_the_turned_image():
    scenes = _plain(_scenes())
    images = replace(draw_images(3, 0, 4, SMALL), truth=scenes.truth)
    arcs, _ = render_planes(scenes, FRAME, oversample=2)
    labels = images.turned(1).truth
    own = scenes.source.smooth
    smooth = replace(
        own,
        phi=own.phi - 0.5 * torch.pi,
        x_center=labels["beta_x"][:, None],
        y_center=labels["beta_y"][:, None],
    )
    source = replace(scenes.source, smooth=smooth)
    turned_frame = replace(FRAME, psf=replace(FRAME.psf, e1=-FRAME.psf.e1))
    again, _ = render_planes(replace(scenes, truth=labels, source=source), turned_frame, 2)
    assert torch.allclose(again, torch.rot90(arcs, 1, dims=(-2, -1)), atol=3e-4 * float(arcs.max()))


def test_blocks_depend_on_seed_and_number_alone():
    one, same, other = (draw_images(*key, 3) for key in ((5, 2), (5, 2), (5, 3)))
    assert torch.equal(one.flux, same.flux)
    assert one.frame == same.frame != other.frame
    assert draw_images(6, 2, 3).frame != one.frame


def test_noise_and_signal_are_those_that_are_stated():
    choices = MockChoices(frame=FRAME, arc_snr=80.0)
    images = draw_images(4, 0, 200, choices)
    assert torch.all(images.arc_snr == 80.0)
    scenes = draw_scenes(torch.Generator().manual_seed(9), images.limits, FRAME.field)
    assert len(scenes.boxiness) == 200
    # corners hold little light: what is left there is noise of the stated width
    corner = (images.flux / images.sigma)[:, :3, :3]
    assert 0.9 < float(torch.quantile(corner.abs(), 0.6827)) < 1.5


def test_exposures_share_a_scene_and_differ_in_noise():
    exposures = draw_exposures(7, 0, 3, SMALL)
    first, second = next(exposures), next(exposures)
    assert not torch.equal(first.arc_snr, second.arc_snr)
    assert torch.equal(second.truth["theta_e"], first.truth["theta_e"])
    assert torch.equal(second.truth["beta_x"], first.truth["beta_y"])
    assert torch.equal(second.truth["e1"], -first.truth["e1"])


@pytest.mark.parametrize("seed", range(20))
def test_frames_are_those_of_some_telescope(seed):
    frame = draw_frame(np.random.default_rng(seed))
    assert 0.03 <= frame.pixel_scale <= 0.3
    assert frame.n_pixels <= LARGEST_SIDE
    assert 4.4 <= frame.field <= 12.1
    assert 0.6 <= frame.psf.fwhm / frame.image_scale <= 4.6


def test_psf_kernels_are_normalised_odd_and_centred():
    kernel = PsfShape(0.5, 3.0, 0.1, -0.05, 0.2).observed(0.2)
    assert kernel.shape[0] % 2 == 1
    assert float(kernel.sum()) == pytest.approx(1.0, abs=1e-6)
    assert int(kernel.argmax()) == kernel.numel() // 2
    assert torch.allclose(kernel, torch.rot90(kernel, 2), atol=1e-7)


def test_an_image_of_a_block_is_a_lens_image():
    image = draw_images(8, 1, 2, SMALL).lens_image(1)
    assert image.flux.shape == image.mask.shape == (45, 45)
    assert image.pixel_scale == pytest.approx(0.12)
    assert image.psf.sum() == pytest.approx(1.0, abs=1e-6)


def test_pools_are_the_same_for_the_same_number_and_epochs_are_fresh():
    pools = Pools(1, blocks=2, scenes=4, exposures=2)
    batches = PoolBatches(pools, 1, 8, torch.device("cpu"))
    first, again = (list(batches.epoch(0)) for _ in range(2))
    assert [len(batch["u"]) for batch in first] == [8, 8]
    assert torch.equal(first[1]["planes"], again[1]["planes"])
    assert not torch.equal(first[0]["u"], next(batches.epoch(1))["u"])
    assert first[0]["planes"].shape[1:] == (6, 64, 64)
    assert all(bool(torch.isfinite(batch["planes"]).all()) for batch in first)


def test_a_frozen_set_has_the_same_scenes_at_every_signal():
    faint, bright = (next(frozen_set("sim-ground", snr, 2)) for snr in (30.0, 300.0))
    assert len(faint) == 2
    assert faint.flux.shape[1:] == (45, 45)
    assert torch.equal(faint.truth["theta_e"], bright.truth["theta_e"])
    assert torch.all((faint.truth["theta_e"] >= 0.8) & (faint.truth["theta_e"] <= 1.8))


def test_frozen_sets_that_do_not_exist_are_refused():
    with pytest.raises(UnknownNameError, match=r"unknown frozen set 'sim-hts'.*sim-hst"):
        next(frozen_set("sim-hts", 100.0, 1))
    with pytest.raises(OutOfRangeError, match="n=0"):
        next(frozen_set("sim-hst", 100.0, 0))
    assert set(FROZEN_SETS) == {"sim-hst", "sim-euclid", "sim-ground"}
