"""Sets of the survey presets: the same scene wherever it is drawn, complete truth, honest noise."""

import dataclasses

import numpy as np
import pytest
import torch
from stamp_toys import write_catalog

from stronglens.core.errors import OutOfRangeError, StaleCheckpointError, UnknownNameError
from stronglens.data.store import open_dataset
from stronglens.lensing.images import count_images
from stronglens.lensing.records import MassProfile
from stronglens.light.records import LightComponent
from stronglens.simulation.cast import in_groups
from stronglens.simulation.classes import GROUP, scene_classes
from stronglens.simulation.companions import ImageTable
from stronglens.simulation.compose import compose_lensed
from stronglens.simulation.galaxies import OLD, Filters
from stronglens.simulation.imperfections import Artefacts, Jitter
from stronglens.simulation.lookalikes import look_alikes
from stronglens.simulation.lookalikes.look_alike import Stage
from stronglens.simulation.render import Grid
from stronglens.simulation.scene import Lensing, LightLayer
from stronglens.simulation.simulated_set import STACK
from stronglens.simulation.sky import Sky
from stronglens.simulation.stamp_sources import (
    LARGEST_BLUR,
    STRETCH,
    half_light_radius,
    open_shelf,
    stamp_layer,
)
from stronglens.simulation.systems import draw_lens_systems, radial_caustic
from stronglens.simulation.task import Simulate
from stronglens.training.stream import open_stream

CLEAN = Artefacts(
    **{f.name: 0.0 for f in dataclasses.fields(Artefacts) if f.type is float and "_" in f.name}
    | {"ghosts": 0.0, "clip_sigma": 4.0, "oversubtraction": 0.0}
)
TWO_BANDS = Simulate(
    survey="lsst-y10", bands=("lsst-g", "lsst-i"), size=40, seed=5, artefacts=CLEAN
)


@pytest.fixture(scope="module")
def block():
    return TWO_BANDS.plan().draw(1, (STACK,))[STACK]


def test_every_class_of_scenes_is_drawn_by_a_file_or_is_a_lens():
    unlensed = {name for name in scene_classes.names() if not scene_classes.get(name).label}
    assert unlensed == set(look_alikes.names())


def test_a_block_holds_its_classes_in_their_shares(block):
    names, counts = np.unique(block.truth["scene_class"], return_counts=True)
    # real galaxies are shown where real images are painted on
    total = sum(share for name, share in TWO_BANDS.shares.items() if name != "real")
    for name, count in zip(names, counts, strict=True):
        assert abs(count - 250 * TWO_BANDS.shares[name] / total) <= 1
    assert (
        (block.truth["label"] == 1) == np.isin(block.truth["scene_class"], ("lens", GROUP))
    ).all()


def test_deflectors_of_other_classes_stand_in_groups_too(block):
    in_group, names = block.truth["in_group"], block.truth["scene_class"]
    assert in_group[names == GROUP].all()
    assert not in_group[np.isin(names, ("lens", "spiral", "ring"))].any()
    assert in_group[block.truth["label"] == 0].sum() == pytest.approx(12.5, abs=1)


def test_images_are_finite_and_planes_add_up(block):
    assert np.isfinite(block.images.flux).all()
    assert np.isfinite(block.images.ivar).all()
    total = block.planes["noiseless"] + block.planes["noise"]
    np.testing.assert_allclose(total, block.images.flux, rtol=1e-4, atol=1e-4)
    assert (block.images.ivar[block.images.mask] == 0).all()
    np.testing.assert_allclose(block.images.psf.sum(axis=(2, 3)), 1.0, atol=1e-5)


def test_noise_is_as_the_inverse_variance_says(block):
    good = block.images.ivar > 0
    # their stars are light that no plane holds
    good[block.truth["scene_class"] == "bright-star"] = False
    pull = (block.planes["noise"] * np.sqrt(block.images.ivar))[good]
    # neighbours are correlated, so the scatter is looser than for independent pixels
    assert abs(pull.mean()) < 0.01
    assert abs(pull.std() - 1) < 0.01


def test_lenses_have_complete_truth_and_others_none(block):
    is_lens = block.truth["label"] == 1
    for name in ("theta_e", "e1", "e2", "slope", "gamma1", "z_source", "mag_source", "arc_snr"):
        assert np.isfinite(block.truth[name][is_lens]).all(), name
        assert np.isnan(block.truth[name][~is_lens]).all(), name
    assert (block.truth["magnification"][~is_lens] == 1).all()


def test_training_prior_spreads_the_arcs_signal_to_noise_evenly(block):
    snr = block.truth["arc_snr"][block.truth["scene_class"] == "lens"]
    inside = (snr > 4.5) & (snr < 110)
    assert inside.mean() > 0.97
    # a quarter in each quarter of 5-100, five standard errors of 112 lenses
    shares = np.histogram(snr, bins=np.linspace(5, 100, 5))[0] / inside.sum()
    assert (np.abs(shares - 0.25) < 0.205).all()


def test_a_scene_is_the_same_in_whatever_set_it_is_written(tmp_path):
    task = dataclasses.replace(TWO_BANDS, n=20, planes=False)
    first = dataclasses.replace(task, n=40, start=230).run(tmp_path / "a")
    second = dataclasses.replace(task, start=240).run(tmp_path / "b")
    a, b = open_dataset(first.path), open_dataset(second.path)
    assert list(a.column("object_id")[10:30]) == list(b.column("object_id"))
    np.testing.assert_array_equal(a.images(slice(10, 30)).flux, b.images(slice(0, 20)).flux)
    np.testing.assert_array_equal(a.column("split")[10:30], b.column("split"))


def test_one_scene_is_brighter_in_noise_terms_with_more_exposures():
    scenes = {
        name: dataclasses.replace(
            TWO_BANDS, survey=name, bands=("lsst-i",), sky=Sky(prior="sky", theta_e_min=0.6)
        )
        .plan()
        .draw(0, (STACK,))[STACK]
        for name in ("lsst-visit", "lsst-y10")
    }
    visit, deep = scenes["lsst-visit"].truth, scenes["lsst-y10"].truth
    np.testing.assert_array_equal(visit["theta_e"], deep["theta_e"])
    is_lens = visit["label"] == 1
    assert (deep["arc_snr"][is_lens] > 3 * visit["arc_snr"][is_lens]).mean() > 0.95


def test_systems_drawn_are_multiply_imaged_by_their_own_lens():
    systems = draw_lens_systems(Sky(theta_e_min=0.5), 1, "host", 0, 250)
    zero = torch.zeros(250)
    column = {k: torch.as_tensor(systems[k]).float() for k in systems if k != "mag_i_source"}
    lens = (
        MassProfile(
            "epl",
            {k: column[k] for k in ("theta_e", "q", "phi", "slope")}
            | {"x_center": zero, "y_center": zero},
        ),
        MassProfile(
            "shear",
            {k: column[k] for k in ("gamma1", "gamma2")} | {"x_center": zero, "y_center": zero},
        ),
    )
    beta = (column[name][:, None] for name in ("x_source", "y_source"))
    images = count_images(lens, *beta, half_width=9.0, n_cells=300)[:, 0]
    # a counter-image within a cell (0.06 arcsec) of the singular centre may not be told apart
    assert (images > 1).float().mean() > 0.93


def test_radial_caustic_is_one_for_isothermal_lenses_and_shrinks_for_shallower_ones():
    radii = radial_caustic(np.array([1.6, 1.8, 1.999999, 2.0, 2.4]))
    # alpha = theta^0.4: d alpha / d theta = 1 at 0.4^(1/0.6)
    theta = 0.4 ** (1 / 0.6)
    np.testing.assert_allclose(radii[0], theta**0.4 - theta, rtol=1e-9)
    assert (np.diff(radii[:3]) > 0).all()
    np.testing.assert_allclose(radii[2:], 1.0, atol=2e-5)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"survey": "lsst-y11"}, UnknownNameError, "lsst-y10"),
        ({"bands": ("lsst-q",)}, UnknownNameError, "lsst-g"),
        ({"shares": {"lens": 0.0}}, OutOfRangeError, "share"),
        ({"shares": {"lense": 1.0}}, UnknownNameError, "lens"),
        ({"sky": Sky(theta_e_min=4.0)}, OutOfRangeError, "theta_e_min"),
        ({"sky": Sky(arc_snr_min=-1.0)}, OutOfRangeError, "arc_snr_min"),
        ({"artefacts": Artefacts(residual=2.0)}, OutOfRangeError, "residual"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_written(
    tmp_path, changes, error, message
):
    with pytest.raises(error, match=message):
        dataclasses.replace(TWO_BANDS, n=20, **changes).run(tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.slow
def test_a_finished_set_grows_by_the_same_command_with_a_larger_n(tmp_path):
    task = dataclasses.replace(TWO_BANDS, bands=("lsst-i",), size=24)
    whole = dataclasses.replace(task, n=1100).run(tmp_path / "whole")
    grown = dataclasses.replace(task, n=30).run(tmp_path / "grown")
    before = open_dataset(grown.path).images(slice(0, 30)).flux
    grown = dataclasses.replace(task, n=1100, workers=2).run(tmp_path / "grown")
    assert grown.content_hash == whole.content_hash
    np.testing.assert_array_equal(open_dataset(grown.path).images(slice(0, 30)).flux, before)
    with pytest.raises(StaleCheckpointError, match="n: 1100 there, 40 now"):
        dataclasses.replace(task, n=40).run(tmp_path / "grown")


def test_a_dry_run_tells_the_cost_and_writes_nothing(tmp_path):
    task = dataclasses.replace(TWO_BANDS, bands=("lsst-i",), size=24, n=1000, dry_run=True)
    cost = task.run(tmp_path / "set")
    assert not (tmp_path / "set").exists()
    assert cost.n == 1000
    assert cost.minutes == pytest.approx(1000 / cost.images_per_second / 60)
    # two planes of float32 hardly compress: 24 x 24 pixels, flux, ivar and four planes
    assert 0.5 < cost.disk_gigabytes / (1000 * 24 * 24 * 4 * 6 / 1e9) < 3


def test_a_stream_draws_fresh_images_of_the_same_kind(tmp_path):
    made = dataclasses.replace(TWO_BANDS, size=24, n=40).run(tmp_path / "set")
    stream = open_stream(open_dataset(made.path), seed=1)
    batch = next(iter(stream(epoch=0, n=8, batch_size=8)))
    assert batch.images.flux.shape == (8, 2, 24, 24)
    stored = torch.as_tensor(open_dataset(made.path).images(slice(0, 40)).flux)
    assert not any((image == stored).all(dim=(1, 2, 3)).any() for image in batch.images.flux)


def test_gradients_flow_from_the_picture_to_lens_and_source():
    theta_e, x_source = (torch.tensor([v], requires_grad=True) for v in (1.1, 0.1))
    one, zero = torch.ones(1), torch.zeros(1)
    shape = {"q": 0.7 * one, "phi": 0.3 * one, "slope": 2.1 * one}
    lens = MassProfile("epl", {"theta_e": theta_e, "x_center": zero, "y_center": zero, **shape})
    source = LightComponent(
        "sersic",
        {
            "r_eff": 0.2 * one,
            "n_sersic": one,
            "q": one,
            "phi": zero,
            "x_center": x_source,
            "y_center": zero,
        },
    )
    rows = torch.tensor([0])
    grid = Grid(21, 25, 0.2, oversample=2, padding=2)
    image = compose_lensed(
        grid, [LightLayer(source, torch.ones(1, 2), rows)], [Lensing((lens,), rows)], 1
    )
    (image * torch.linspace(0, 1, image.shape[-1])).sum().backward()
    for parameter in (theta_e, x_source):
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs() > 1e-4


def test_sources_can_be_real_galaxies_no_larger_than_their_blur_allows(tmp_path):
    folder = write_catalog(tmp_path)
    shelf = open_shelf(folder)
    rows = np.arange(6)
    shape = {
        "r_eff": np.full(6, 0.3),
        "x_center": np.zeros(6),
        "y_center": np.linspace(-0.2, 0.2, 6),
    }
    flux = np.tile([1.0, 3.0], (6, 1))
    drawn = stamp_layer(shelf, rows, flux, shape, (0.8, np.random.default_rng(0)))
    parameters = drawn.component.parameters
    blur = parameters["scale"] * STRETCH * shelf.stamps.psf_fwhm[0]
    assert (blur <= LARGEST_BLUR * 0.8 + 1e-6).all()
    np.testing.assert_array_equal(drawn.flux, torch.as_tensor(flux).float())
    with pytest.raises(OutOfRangeError, match="too sharp"):
        stamp_layer(shelf, rows, flux, shape, (0.05, np.random.default_rng(0)))


def test_half_light_radius_of_a_disc():
    y, x = np.indices((61, 61)) - 30
    disc = (np.hypot(x, y) < 20).astype(float)
    # half of the area of a disc of radius 20 lies within 20 / sqrt(2)
    assert half_light_radius(disc) == pytest.approx(20 / 2**0.5, abs=0.3)


def _quantile(values, weights, share):
    order = np.argsort(values)
    grown = np.cumsum(weights[order])
    return np.interp(share, grown / grown[-1], values[order])


@pytest.mark.slow
def test_weights_turn_the_training_prior_into_the_sky():
    still = Jitter(0.0, 3.0, 3.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0)
    task = dataclasses.replace(
        TWO_BANDS, bands=("lsst-i",), size=32, shares={"lens": 1.0}, jitter=still, planes=False
    )
    drawn = {}
    for prior, n_blocks in (("sky", 6), ("training", 12)):
        plan = dataclasses.replace(
            task, sky=Sky(prior=prior, theta_e_min=0.5, source_mag_faint=28.4)
        ).plan()
        blocks = [plan.draw(k, (STACK,))[STACK].truth for k in range(n_blocks)]
        drawn[prior] = {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}
    sky, training = (
        {name: values[(t["arc_snr"] > 5) & (t["arc_snr"] < 100)] for name, values in t.items()}
        for t in (drawn["sky"], drawn["training"])
    )
    # weighted medians of about 250 effective draws: three to four standard errors each
    for name, allowed in (
        ("theta_e", 0.12),
        ("z_lens", 0.08),
        ("z_source", 0.2),
        ("sigma_v", 12.0),
        ("mag_source", 0.4),
    ):
        expected = np.median(sky[name])
        got = _quantile(training[name], training["weight"], 0.5)
        assert got == pytest.approx(expected, abs=allowed), name


def test_scenes_do_not_depend_on_how_many_bands_are_made():
    one = dataclasses.replace(TWO_BANDS, bands=("lsst-i",), sky=Sky(prior="sky", theta_e_min=0.6))
    two = dataclasses.replace(one, bands=("lsst-g", "lsst-i"))
    a, b = (task.plan().draw(2, (STACK,))[STACK] for task in (one, two))
    for name in ("theta_e", "x_source", "mag_source", "mag_deflector_lsst-i"):
        np.testing.assert_allclose(a.truth[name], b.truth[name], atol=0.25, err_msg=name)
    np.testing.assert_array_equal(a.truth["scene_class"], b.truth["scene_class"])


def test_what_stands_in_a_lens_place_is_as_bright_as_one():
    arc_flux = np.array([[0.5, 1.0], [40.0, 5.0], [0.0, 0.0]])
    systems = {"absolute_r": np.array([-21.0, -18.0, -23.0]), "z_lens": np.array([0.3, 0.5, 0.9])}
    stage = Stage(
        rows=np.arange(3),
        systems=systems,
        center=np.zeros((2, 3)),
        arcs=ImageTable(*np.zeros((4, 3, 2))),
        arc_flux=arc_flux,
        filters=Filters(("lsst-g", "lsst-i"), 30.0, 0.05, 0.7),
        rng=np.random.default_rng(0),
    )
    deflector = dataclasses.replace(stage, arc_flux=np.zeros((3, 2))).light()
    for template in (OLD, "scd"):
        light = stage.light(template)
        np.testing.assert_allclose(light.sum(axis=1), (deflector + arc_flux).sum(axis=1))
    assert (light[:, 0] / light[:, 1] > deflector[:, 0] / deflector[:, 1]).all()


def test_deflectors_without_a_lens_stand_in_groups_as_often_as_lenses():
    names = np.repeat(["lens", GROUP, "twin", "spiral"], [180, 20, 150, 50])
    has_host = np.zeros(400, dtype=bool)
    chosen = in_groups(names, has_host, np.random.default_rng(1))
    assert chosen[names == GROUP].all()
    assert not chosen[np.isin(names, ("lens", "spiral"))].any()
    # a tenth of the lenses are groups, and so are 20 of the 200 others, half of one more or less
    assert chosen[names == "twin"].sum() in (20, 21)


def test_real_galaxies_and_sets_without_groups_are_not_put_into_groups():
    names = np.repeat(["lens", GROUP, "twin"], [50, 50, 100])
    rng = np.random.default_rng(1)
    assert not in_groups(names, np.ones(200, dtype=bool), rng)[names == "twin"].any()
    assert not in_groups(names[names != GROUP], np.zeros(150, dtype=bool), rng).any()
    assert in_groups(names[names != "lens"], np.zeros(150, dtype=bool), rng).all()


def test_light_of_deflectors_can_be_left_out():
    task = dataclasses.replace(TWO_BANDS, bands=("lsst-i",), size=24, deflector_light=False)
    assert (task.plan().draw(0, (STACK,))[STACK].planes["deflector_light"] == 0).all()
