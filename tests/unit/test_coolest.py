"""Lens models out to COOLEST and lenstronomy and in again; pictures of both are the same."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.io import fits
from coolest_stand_in import open_with_lenstronomy
from lenstronomy.Data.imaging_data import ImageData
from lenstronomy.Data.psf import PSF
from lenstronomy.ImSim.image_model import ImageModel
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel
from measured_toys import TRUTH, lens

from stronglens.core import coolest
from stronglens.core.errors import (
    MissingDataError,
    OutOfRangeError,
    StronglensError,
    UnknownNameError,
    UnreadableFileError,
)
from stronglens.lensing.records import MassProfile
from stronglens.measurement.coolest import CoolestLens, Posterior, SourceGrid, shear_offset
from stronglens.measurement.coolest_export import (
    COOLEST,
    COOLEST_GRID,
    LENSTRONOMY,
    export_measured,
    lenstronomy_keywords,
)
from stronglens.measurement.coolest_picture import model_image
from stronglens.measurement.coolest_reading import read_coolest
from stronglens.measurement.coolest_writing import field_of_view, padded_psf, write_coolest
from stronglens.measurement.inputs import Given, LensInput, read_lenses
from stronglens.measurement.lens_image import LensImage
from stronglens.measurement.lens_record import LensRecord
from stronglens.measurement.mass_model import source_positions, vector_from_values
from stronglens.measurement.optimise import Minimum, arc_light, source_window
from stronglens.measurement.refine import Refined
from stronglens.measurement.stage import coarse_stage
from stronglens.measurement.task import Measure
from stronglens.simulation.exchange import LensScenes, sersics_from_rows

CENTERS = ("center_x", "center_y")
MASS = {"theta_e": 1.1, "slope": 2.13, "q": 0.74, "phi": -0.6, "x_center": 0.07, "y_center": -0.11}
SHEAR = {"gamma1": 0.04, "gamma2": -0.03, "x_center": 0.0, "y_center": 0.0}
SOURCE = {"brightness": 3.0, "r_eff_circ": 0.14, "n_sersic": 1.3, "q": 0.8, "phi": 0.4,
          "x_center": 0.09, "y_center": 0.05}  # fmt: skip
BULGE = {"brightness": 4.0, "r_eff_circ": 0.5, "n_sersic": 2.5, "q": 0.85, "phi": 1.2,
         "x_center": 0.07, "y_center": -0.11}  # fmt: skip
HALO = BULGE | {"r_eff_circ": 1.4, "brightness": 0.6, "n_sersic": 0.5, "phi": -0.2}


def profile(name, values):
    return MassProfile(name, {k: torch.tensor([v]).double() for k, v in values.items()})


def scene():
    masses = [profile("epl", MASS), profile("shear", SHEAR)]
    return LensScenes(masses, sersics_from_rows([[SOURCE]]), sersics_from_rows([[BULGE, HALO]]))


def image(height=41, width=36, scale=0.11):
    """Not square, of odd and even sides, some pixels masked; the PSF is not square either."""
    rng = np.random.default_rng(2)
    mask = np.zeros((height, width), bool)
    mask[3:6, 10:14] = True
    y, x = np.mgrid[-4:5, -3:4]
    psf = np.exp(-0.5 * (x**2 / 1.2 + y**2 / 0.9)) * (1 + 0.1 * x)
    flux = rng.normal(size=(height, width)).astype(np.float32).astype(float)
    sigma = np.full((height, width), 0.5)
    return LensImage(np.where(mask, 0.0, flux), sigma, mask, psf / psf.sum(), scale, "toy")


def posterior(n=400):
    rng = np.random.default_rng(5)
    e1, e2 = -0.02 + 0.05 * rng.normal(size=(2, n)) * np.array([[0.1], [1.0]])
    draws = {"theta_e": 1.1 + 0.01 * rng.normal(size=n), "e1": e1 - 0.2, "e2": e2}
    middles = {"x_center": 0.07, "y_center": -0.11, "gamma1": 0.04, "gamma2": -0.03, "slope": 2.1}
    for name, middle in (middles | {"beta_x": 0.1, "beta_y": 0.0}).items():
        draws[name] = middle + 0.01 * rng.normal(size=n)
    weights = rng.exponential(size=n)
    return Posterior(draws, weights / weights.sum())


def model(**changes):
    return CoolestLens(scene(), image(), **{"z_lens": 0.3, "z_source": 1.2} | changes)


# lenstronomy 1.14.2 calls numpy's rfftn the old way
old_call = pytest.mark.filterwarnings("ignore:`axes` should not be:DeprecationWarning")


def drawn_by_lenstronomy(opened, oversample=3):
    names, found = opened["kwargs_model"], opened["kwargs_result"]
    picture = ImageModel(
        ImageData(**opened["kwargs_data"]),
        PSF(**opened["kwargs_psf"]),
        LensModel(names["lens_model_list"]),
        LightModel(names["source_light_model_list"]),
        LightModel(names["lens_light_model_list"]),
        kwargs_numerics={"supersampling_factor": oversample, "supersampling_convolution": False},
    )
    keys = ("kwargs_lens", "kwargs_source", "kwargs_lens_light")
    return picture.image(*(found[key] for key in keys))


# words of the standard


@pytest.mark.parametrize(
    ("phi", "angle"), [(0.0, 90.0), (0.5, np.degrees(0.5) - 90), (np.pi / 2, 0.0), (-3.0, 98.1)]
)
def test_angles_are_counted_from_north_to_east(phi, angle):
    found = coolest.position_angle(phi)
    assert -90.0 < found <= 90.0
    assert np.tan(np.radians(found - angle)) == pytest.approx(0.0, abs=1e-3)


def test_a_shear_is_what_lenstronomy_makes_of_it():
    name, shear = coolest.mass_from_coolest("ExternalShear", {"gamma_ext": 0.05, "phi_ext": 30.0})
    assert name == "shear"
    # lenstronomy has x to the left: gamma1 -0.025, gamma2 +0.0433
    assert shear["gamma1"] == pytest.approx(-0.025)
    assert shear["gamma2"] == pytest.approx(-0.0433, abs=1e-4)


@pytest.mark.parametrize("name", ["sie", "epl", "shear"])
def test_masses_come_back_from_the_words_of_the_standard(name):
    values = SHEAR if name == "shear" else {k: v for k, v in MASS.items() if k != "slope"}
    values = MASS if name == "epl" else values
    found, back = coolest.mass_from_coolest(*coolest.mass_to_coolest(name, values))
    assert found == name
    assert back == pytest.approx(values, abs=1e-12)


def test_profiles_that_one_side_does_not_have_are_named():
    with pytest.raises(UnknownNameError, match="mass profile 'nfw'"):
        coolest.mass_to_coolest("nfw", {})
    with pytest.raises(UnknownNameError, match="COOLEST mass profile 'NIE'"):
        coolest.mass_from_coolest("NIE", {})
    with pytest.raises(UnknownNameError, match="'PEMD' lacks a value for gamma"):
        coolest.mass_from_coolest("PEMD", {k: 0.5 for k in ("theta_E", "q", "phi", *CENTERS)})
    with pytest.raises(UnknownNameError, match="COOLEST light profile 'Shapelets'"):
        coolest.sersic_from_coolest("Shapelets", {})


def test_moving_the_source_makes_up_for_the_place_of_the_shear():
    values = {"gamma1": 0.05, "gamma2": -0.08, "x_center": 0.3, "y_center": -0.2}
    dx, dy = shear_offset(values)
    x, y = np.array([0.7, -1.0]), np.array([0.2, 0.4])
    vector = vector_from_values({"theta_e": 1.0, "e1": 0.1} | values)
    about_mass = source_positions(vector[None], x, y, "sie+shear")
    masses = [profile("sie", {"theta_e": 1.0, "q": 0.9 / 1.1, "phi": 0.0, "x_center": 0.3,
                              "y_center": -0.2}),
              profile("shear", SHEAR | {"gamma1": 0.05, "gamma2": -0.08})]  # fmt: skip
    rays = torch.tensor(x)[None, None], torch.tensor(y)[None, None]
    alphas = [mass.deflection(*rays) for mass in masses]
    for k, (line, offset) in enumerate(((x, dx), (y, dy))):
        about_origin = line - sum(alpha[k] for alpha in alphas)[0, 0].numpy()
        np.testing.assert_allclose(about_origin, about_mass[k][0] + offset, atol=1e-6)


# files


def test_a_model_comes_back_as_it_was(tmp_path):
    made = model(posterior=posterior(), fixed=frozenset({"slope"}), meta={"verdict": "verified"})
    back = read_coolest(write_coolest(tmp_path / "lens.json", made))
    assert back.parameters() == pytest.approx(made.parameters(), abs=1e-9)
    assert (back.z_lens, back.z_source, back.meta["verdict"]) == (0.3, 1.2, "verified")
    np.testing.assert_allclose(back.image.psf[:, 1:-1], made.image.psf, atol=1e-7)
    for name in ("flux", "mask", "sigma"):
        ours, theirs = getattr(made.image, name), getattr(back.image, name)
        keep = ~made.image.mask if name == "sigma" else slice(None)
        np.testing.assert_allclose(theirs[keep], ours[keep], atol=1e-7)
    assert back.image.pixel_scale == pytest.approx(0.11, rel=1e-12)
    for name in ("q", "phi", "r_eff", "n_sersic", "flux", "x_center", "y_center"):
        for part in ("source", "deflector"):
            ours, theirs = (getattr(getattr(s, part), name) for s in (made.scene, back.scene))
            torch.testing.assert_close(theirs, ours, rtol=1e-9, atol=1e-9)
    dx, dy = shear_offset(made.posterior.draws)
    moved = made.posterior.draws | {
        "beta_x": made.posterior.draws["beta_x"] + dx, "beta_y": made.posterior.draws["beta_y"] + dy
    }  # fmt: skip
    np.testing.assert_allclose(back.posterior.weights, made.posterior.weights, rtol=1e-6)
    for name, column in moved.items():
        np.testing.assert_allclose(back.posterior.draws[name], column, atol=1e-6, err_msg=name)


def test_summaries_are_weighted_and_angles_do_not_jump(tmp_path):
    made = model(posterior=posterior(4000))
    entities = json.loads(write_coolest(tmp_path / "a.json", made).read_text())["lensing_entities"]
    found = entities[1]["mass_model"][0]["parameters"]
    weights, theta_e = made.posterior.weights, made.posterior.draws["theta_e"]
    stats = found["theta_E"]["posterior_stats"]
    assert stats["mean"] == pytest.approx(float(weights @ theta_e))
    assert stats["percentile_16th"] == pytest.approx(stats["mean"] - 0.01, abs=2e-3)
    # the major axis lies along y, where the position angle jumps from 90 to -90 in our angles
    phi = found["phi"]["posterior_stats"]
    assert phi["percentile_84th"] - phi["percentile_16th"] < 20.0
    assert phi["percentile_16th"] < phi["median"] < phi["percentile_84th"]


def test_the_chain_names_parameters_as_the_standard_does_and_ends_with_weights(tmp_path):
    write_coolest(tmp_path / "a.json", model(posterior=posterior()))
    names = (tmp_path / "coolest_chain.csv").read_text().splitlines()[0].split(",")
    assert {"0-massfield-mass-0-ExternalShear-gamma_ext", "1-galaxy-mass-0-PEMD-theta_E",
            "2-galaxy-light-0-Sersic-center_x"} <= set(names)  # fmt: skip
    assert names[-1] == "probability_weights"


@old_call
def test_lenstronomy_opens_the_file_and_draws_our_picture(tmp_path):
    path = write_coolest(tmp_path / "lens.json", model())
    back = read_coolest(path)
    ours = model_image(back, oversample=3)
    # lenstronomy flips x but not the array; the file is filled up to a square
    theirs = drawn_by_lenstronomy(open_with_lenstronomy(path))[: len(ours), : ours.shape[1]]
    inner = np.zeros(ours.shape, bool)
    inner[: -4 - 1, : -3 - 1] = True
    assert np.abs(theirs - ours)[inner].max() < 1e-3 * theirs.max()
    mirrored = np.abs(theirs[:, ::-1] - ours)[inner].max()
    assert mirrored > 0.05 * theirs.max()


@old_call
def test_lenstronomy_draws_our_picture_from_our_keyword_lists():
    # lenstronomy 1.14.2 draws squares only
    made = replace(model(), image=image(36, 36))
    words = lenstronomy_keywords(made)
    words["kwargs_data"]["image_data"] = made.image.flux
    words["kwargs_data"].pop("noise_map")
    words["kwargs_psf"]["kernel_point_source"] = np.pad(made.image.psf, ((0, 0), (1, 1)))
    words["kwargs_data"]["transform_pix2angle"] = np.eye(2) * made.image.pixel_scale
    theirs = drawn_by_lenstronomy(words)
    assert np.abs(theirs - model_image(made, oversample=3)).max() < 1e-3 * theirs.max()


def test_a_source_on_a_grid_comes_back_and_makes_the_same_picture(tmp_path):
    line = (np.arange(160) + 0.5) / 160 * 1.6 - 0.8
    x, y = np.meshgrid(line, line)
    dx, dy = x - 0.09, y - 0.05
    blob = 0.05 * np.exp(-0.5 * (dx**2 + 1.5 * dy**2) / 0.1**2)
    made = model(source_grid=SourceGrid(blob, (-0.8, 0.8, -0.8, 0.8)))
    made = replace(made, scene=replace(made.scene, source=sersics_from_rows([[]])))
    back = read_coolest(write_coolest(tmp_path / "grid.json", made))
    np.testing.assert_allclose(back.source_grid.flux, blob, atol=1e-8)
    assert back.source_grid.extent == pytest.approx((-0.8, 0.8, -0.8, 0.8))
    gaussian = {"brightness": 0.05 / 0.11**2 * np.exp(-0.67250), "n_sersic": 0.5, "phi": 0.0,
                "r_eff_circ": 0.1 * np.sqrt(2 * 0.6725 / np.sqrt(1.5)), "q": 1 / np.sqrt(1.5),
                "x_center": 0.09, "y_center": 0.05}  # fmt: skip
    seen = replace(scene(), source=sersics_from_rows([[gaussian]]))
    smooth = model_image(replace(model(), scene=seen))
    assert np.abs(model_image(back) - smooth).max() < 1e-3 * smooth.max()


@pytest.mark.parametrize("scale", [0.05, 0.04, 0.1, 0.168, 0.2637])
def test_pixels_of_image_and_psf_have_one_size_to_the_last_bit(tmp_path, scale):
    for n in (45, 64, 101, 201):
        size = field_of_view(n, scale) / n
        assert size == pytest.approx(scale, rel=1e-15)
        psf = padded_psf(np.ones((15, 13)) / 195, size)
        assert field_of_view(len(psf), size) / len(psf) == size
        assert psf.sum() == pytest.approx(1.0)
        assert len(psf) < 60


def test_a_file_of_another_code_is_read_about_the_middle_of_its_image(tmp_path):
    """Fields of view need not be symmetric, noise may be a number and the PSF a Gaussian."""
    path = write_coolest(tmp_path / "lens.json", model())
    content = json.loads(path.read_text())
    for axis in ("x", "y"):
        pixels = content["observation"]["pixels"]
        pixels[f"field_of_view_{axis}"] = [v + 0.5 for v in pixels[f"field_of_view_{axis}"]]
    content["observation"]["noise"] = {"type": "UniformGaussianNoise", "std_dev": 0.2}
    content["instrument"]["psf"] = {"type": "GaussianPSF", "fwhm": 2.0}
    path.write_text(json.dumps(content))
    back = read_coolest(path)
    assert back.parameters()["x_center"] == pytest.approx(0.07 - 0.5)
    assert back.image.sigma.max() == 0.2
    assert back.image.psf.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda c: c.update(standard="OTHER"), UnreadableFileError, "no COOLEST file"),
        (lambda c: c.pop("lensing_entities"), UnreadableFileError, "not complete.*lensing_ent"),
        (lambda c: [e.update(redshift=0.5) for e in c["lensing_entities"]], OutOfRangeError,
         "all entities"),
        (lambda c: c["observation"]["noise"].update(type="DrizzledNoise"), UnknownNameError,
         "COOLEST noise 'DrizzledNoise'"),
        (lambda c: c["observation"]["pixels"]["fits_file"].update(path="none.fits"),
         MissingDataError, "'none.fits' that .* is not beside it"),
        (lambda c: c["instrument"].update(pixel_size=0.05), OutOfRangeError, "states pixels of"),
        (lambda c: c["instrument"]["psf"]["pixels"].update(field_of_view_x=[-0.1, 0.1]),
         OutOfRangeError, "PSF of .* has pixels"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said(tmp_path, change, error, words):
    path = write_coolest(tmp_path / "lens.json", model())
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(error, match=words):
        read_coolest(path)


def test_a_coolest_file_can_be_measured_again(tmp_path):
    path = write_coolest(tmp_path / "lens.json", model())
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    good, bad = read_lenses([path, broken], Given())
    assert (good.name, good.image.flux.shape) == ("toy", (41, 36))
    assert "no COOLEST file" in bad.failure
    assert isinstance(StronglensError(), Exception)


# what a measurement writes


@pytest.fixture(scope="module")
def measured():
    """A posterior without draws, at the truth: what the export needs of it."""
    seen = lens(x_center=0.05, y_center=-0.03)
    stage = coarse_stage(seen, (0.6, 1.6), "sie+shear")
    vector = vector_from_values(TRUTH | {"x_center": 0.05, "y_center": -0.03})
    window = source_window(stage.inversion, vector, arc_light(stage.inversion))
    best = stage.inversion.solve_best(vector, window, 1.0)
    stage = stage.with_light_without(best)
    best = stage.inversion.solve_best(vector, window, best.strength)
    minimum = Minimum(best, 0.0, np.eye(7))
    return seen, Refined({}, None, None, (minimum,), stage, chi2=1.0)


@old_call
def test_a_measured_lens_is_written_for_other_codes(measured, tmp_path):
    seen, refined = measured
    entry = LensInput("toy", "toy.fits", seen)
    record = LensRecord("toy", "toy.fits", "refined", ("a doubt",), (), False, 1.0)
    task = Measure(files=(tmp_path / "toy.fits",))
    paths = export_measured(tmp_path, entry, record, refined, task)
    assert [path.name for path in paths] == [COOLEST, COOLEST_GRID, LENSTRONOMY]
    sersic, grid = (read_coolest(path) for path in paths[:2])
    assert sersic.meta["verdict"] == "refined"
    assert sersic.meta["reasons"] == ["a doubt"]
    assert "unknown" in sersic.meta["redshifts"]
    assert sersic.meta["reduced_chi2"] < 1.2
    mass = sersic.parameters()
    assert mass["theta_e"] == pytest.approx(1.1)
    assert (mass["gamma1"], mass["gamma2"]) == pytest.approx((0.03, 0.02))
    good = seen.is_good[8:-8, 8:-8]
    for one in (sersic, grid):
        left = (seen.flux - model_image(one) - one.meta["constant_sky"]) / seen.sigma
        assert np.mean(left[8:-8, 8:-8][good] ** 2) < 1.5
    theirs = drawn_by_lenstronomy(open_with_lenstronomy(paths[0]), oversample=2)
    assert np.abs(theirs - model_image(sersic, 2)).max() < 1e-3 * theirs.max()
    left, right, bottom, top = grid.source_grid.extent
    # the package `coolest` takes the limits of one axis for the other
    assert (left, right) == (bottom, top)
    words = json.loads(paths[2].read_text())
    assert words["kwargs_model"]["lens_model_list"] == ["EPL", "SHEAR"]
    assert fits.getdata(tmp_path / words["kwargs_data"]["image_data"]).shape == seen.flux.shape


def test_a_rejected_lens_has_no_model_to_pass_on(measured, tmp_path):
    seen, refined = measured
    entry = LensInput("toy", "toy.fits", seen)
    record = LensRecord("toy", "toy.fits", "rejected", ("no arcs",), (), False, 1.0)
    assert export_measured(tmp_path, entry, record, refined, Measure()) == []
    assert list(tmp_path.iterdir()) == []
