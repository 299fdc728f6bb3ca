"""Scenes to lenstronomy's lists and keywords and back."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from lens_scenes import draw_lenses, draw_sersics, uniform
from lenstronomy.Data.pixel_grid import PixelGrid
from lenstronomy.Data.psf import PSF
from lenstronomy.ImSim.image_model import ImageModel
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel

from stronglens.core.errors import UnknownNameError, WrongShapeError
from stronglens.core.lenstronomy import mass_from_lenstronomy, mass_to_lenstronomy
from stronglens.lensing.profiles import profiles
from stronglens.lensing.raytrace import deflection
from stronglens.lensing.records import CallableMass, MassProfile
from stronglens.light.sersic import surface_brightness
from stronglens.simulation.exchange import LensScenes, from_lenstronomy, to_lenstronomy
from stronglens.simulation.render import Grid, bin_to_pixels, render_lensed, render_light

N = 5
LIMITS = {"q": (0.3, 0.95), "phi": (-1.5, 1.5), "phi_m": (-1.5, 1.5), "slope": (1.5, 2.5)}


def every_profile(n=N, seed=1):
    """A lens model of all registered profiles at once."""
    lens_model = []
    for i, name in enumerate(profiles.names()):
        keys = profiles.get(name).parameters
        values = {
            key: uniform((n,), *LIMITS.get(key, (0.05, 0.9)), seed + 20 * i + j)
            for j, key in enumerate(keys)
        }
        lens_model.append(MassProfile(name, values))
    return lens_model


def light(n=N, seed=1, n_component=2):
    """Sersic components whose angles need no turn by pi to come back equal."""
    sersics = draw_sersics(n, seed, n_component, n_sersic=(0.4, 6.0))
    return replace(sersics, phi=0.5 * sersics.phi)


@pytest.fixture
def scenes():
    return LensScenes(every_profile(), light(n_component=1), light(seed=2))


def assert_equal_light(found, expected, **tolerances):
    for part in fields(expected):
        ours, theirs = getattr(found, part.name), getattr(expected, part.name)
        torch.testing.assert_close(ours, theirs, **tolerances, msg=part.name)


@pytest.mark.parametrize("approximation", ["exact", "linear"])
def test_a_batch_comes_back_as_it_was(scenes, approximation):
    exported = to_lenstronomy(scenes, approximation)
    back = from_lenstronomy(exported, torch.float64, approximation)
    assert len(exported) == N
    for found, expected in zip(back.lens_model, scenes.lens_model, strict=True):
        assert found.name == expected.name
        assert set(found.parameters) == set(expected.parameters)
        for key, values in expected.parameters.items():
            torch.testing.assert_close(found.parameters[key], values, rtol=1e-12, atol=1e-12)
    assert_equal_light(back.source, scenes.source, rtol=1e-11, atol=1e-12)
    assert_equal_light(back.deflector, scenes.deflector, rtol=1e-11, atol=1e-12)


def test_what_came_from_lenstronomy_goes_back_unchanged(scenes):
    exported = to_lenstronomy(scenes)
    again = to_lenstronomy(from_lenstronomy(exported, torch.float64))
    assert again.lens_model_list == exported.lens_model_list
    lists = ("kwargs_lens", "kwargs_source", "kwargs_lens_light")
    for one, other in zip(*(sum_of(lists, batch) for batch in (again, exported)), strict=True):
        assert one == pytest.approx(other, rel=1e-11, abs=1e-12)


def sum_of(lists, batch):
    return [row for name in lists for image in getattr(batch, name) for row in image]


def test_lenstronomy_deflects_as_we_do_with_the_exported_keywords(scenes):
    exported = to_lenstronomy(scenes)
    x = torch.linspace(-3.0, 3.1, 17, dtype=torch.float64)[None, None]
    y = torch.linspace(-2.0, 2.2, 11, dtype=torch.float64)[None, :, None]
    ours = torch.stack(deflection(x, y, scenes.lens_model)).numpy()
    rays = [axis.numpy().ravel() for axis in torch.broadcast_tensors(x[0], y[0])]
    lens = LensModel(exported.lens_model_list)
    for k in range(N):
        theirs = np.stack(lens.alpha(*rays, exported.kwargs_lens[k])).reshape(2, 11, 17)
        # lenstronomy softens the centres of SIE and halo
        np.testing.assert_allclose(ours[:, k], theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("approximation", ["exact", "linear"])
def test_lenstronomy_shines_as_we_do_with_the_exported_keywords(scenes, approximation):
    exported = to_lenstronomy(scenes, approximation)
    x = torch.linspace(-3.0, 3.1, 17, dtype=torch.float64)[None, None]
    y = torch.linspace(-2.0, 2.2, 11, dtype=torch.float64)[None, :, None]
    ours = surface_brightness(x, y, scenes.deflector, approximation).numpy()
    rays = [axis.numpy().ravel() for axis in torch.broadcast_tensors(x[0], y[0])]
    lights = LightModel(exported.lens_light_model_list)
    for k in range(N):
        theirs = lights.surface_brightness(*rays, exported.kwargs_lens_light[k]).reshape(11, 17)
        # our table of b_n is good to 1e-7
        np.testing.assert_allclose(ours[k], theirs, rtol=1e-6)


# lenstronomy 1.14.2 calls numpy's rfftn the old way
@pytest.mark.filterwarnings("ignore:`axes` should not be:DeprecationWarning")
def test_lenstronomy_draws_our_picture_from_the_exported_lists():
    lens, source, deflector = draw_lenses(3, 4), light(3, 5, 1), light(3, 6)
    grid = Grid(24, 24, 0.2, oversample=3, padding=0, center_oversample=1)
    drawn = render_lensed(grid, lens, source) + render_light(grid, deflector)
    exported = to_lenstronomy(LensScenes(lens.lens_model(), source, deflector))
    corner = -0.5 * 23 * 0.2
    pixels = PixelGrid(
        nx=24, ny=24, transform_pix2angle=np.eye(2) * 0.2, ra_at_xy_0=corner, dec_at_xy_0=corner
    )
    image = ImageModel(
        pixels,
        PSF(psf_type="NONE"),
        LensModel(exported.lens_model_list),
        LightModel(exported.source_light_model_list),
        LightModel(exported.lens_light_model_list),
        kwargs_numerics={"supersampling_factor": 3},
    )
    for k, ours in enumerate(bin_to_pixels(drawn, grid).numpy()):
        theirs = image.image(
            exported.kwargs_lens[k], exported.kwargs_source[k], exported.kwargs_lens_light[k]
        )
        # lenstronomy softens the centre of a Sersic profile
        assert np.abs(ours - theirs).max() < 1e-5 * theirs.max()


def test_a_lens_without_light_of_its_own_comes_back_without():
    nothing = light(n_component=1)
    nothing = type(nothing)(**{f.name: getattr(nothing, f.name)[:, :0] for f in fields(nothing)})
    exported = to_lenstronomy(LensScenes(every_profile(), light(), nothing))
    assert exported.lens_light_model_list == []
    assert exported.kwargs_lens_light == [[]] * N
    assert from_lenstronomy(exported).deflector.flux.shape == (N, 0)


def test_tensors_have_the_precision_asked_for(scenes):
    back = from_lenstronomy(to_lenstronomy(scenes))
    assert back.lens_model[0].parameters["x_center"].dtype == torch.float32
    assert back.source.flux.dtype == torch.float32


@pytest.mark.parametrize("name", profiles.names())
def test_every_registered_profile_has_a_counterpart(name):
    values = {key: 0.5 for key in profiles.get(name).parameters}
    found, parameters = mass_from_lenstronomy(*mass_to_lenstronomy(name, values))
    assert found == name
    assert parameters == pytest.approx(values)


def test_other_names_of_lenstronomy_for_the_same_thing_are_understood():
    name, parameters = mass_from_lenstronomy("SHEAR_GAMMA_PSI", {"gamma_ext": 0.1, "psi_ext": 0.4})
    assert name == "shear"
    expected = {"gamma1": 0.1 * np.cos(0.8), "gamma2": 0.1 * np.sin(0.8)}
    assert parameters == pytest.approx(expected | {"x_center": 0.0, "y_center": 0.0})
    rays, polar = (np.array([0.3]), np.array([-0.8])), {"gamma_ext": 0.1, "psi_ext": 0.4}
    theirs = LensModel(["SHEAR_GAMMA_PSI"]).alpha(*rays, [polar])
    _, keywords = mass_to_lenstronomy(name, parameters)
    np.testing.assert_allclose(LensModel(["SHEAR"]).alpha(*rays, [keywords]), theirs)
    keywords = {"theta_E": 1.0, "gamma": 2.1, "e1": 0.0, "e2": 0.2}
    assert mass_from_lenstronomy("EPL_NUMBA", keywords)[0] == "epl"


def test_a_round_sersic_profile_is_understood():
    own = {"amp": 3.0, "R_sersic": 0.7, "n_sersic": 2.0, "center_x": 0.1, "center_y": 0.3}
    exported = to_lenstronomy(LensScenes(every_profile(1), light(1), light(1)))
    batch = replace(exported, source_light_model_list=["SERSIC"], kwargs_source=[[own]])
    source = from_lenstronomy(batch, torch.float64, "linear").source
    assert float(source.q) == 1.0
    # the linear b_n keeps the radius
    assert float(source.r_eff) == pytest.approx(0.7, rel=1e-12)


# what cannot be converted


def test_a_callable_deflection_cannot_be_exported(scenes):
    lens_model = [*scenes.lens_model, CallableMass(lambda x, y: (x, y))]
    with pytest.raises(UnknownNameError, match="callable deflection has no name in lenstronomy"):
        to_lenstronomy(replace(scenes, lens_model=lens_model))


def test_a_profile_that_we_do_not_have_is_named(scenes):
    exported = to_lenstronomy(scenes)
    names = ["SIEE", *exported.lens_model_list[1:]]
    with pytest.raises(UnknownNameError, match=r"lenstronomy profile 'SIEE'. Did you mean 'SIE'"):
        from_lenstronomy(replace(exported, lens_model_list=names))
    with pytest.raises(UnknownNameError, match="unknown lenstronomy profile 'HERNQUIST'"):
        from_lenstronomy(replace(exported, lens_light_model_list=["HERNQUIST"] * 2))


def test_a_profile_that_is_not_registered_is_named():
    with pytest.raises(UnknownNameError, match=r"mass profile 'nfww'. Did you mean 'nfw'"):
        mass_to_lenstronomy("nfww", {})


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("SIS", {}, r"'SIS' do not fit: missing \['theta_E'\]"),
        ("SIS", {"theta_E": 1.0, "q": 0.5}, r"unknown \['q'\]"),
        ("SHEAR", {"gamma1": 0.0, "gamma2": 0.0, "center_x": 0.0}, r"unknown \['center_x'\]"),
        ("SHEAR_GAMMA_PSI", {"gamma_ext": 0.1}, r"missing \['psi_ext'\]"),
        ("SIE", {"theta_E": 1.0, "e1": 0.1}, r"missing \['e2'\]"),
        ("MULTIPOLE", {"m": 2, "a_m": 0.1, "phi_m": 0.0}, r"has no counterpart.*\{'m': 3\} or"),
    ],
)
def test_keywords_that_do_not_fit_are_named(name, keywords, message):
    with pytest.raises(UnknownNameError, match=message):
        mass_from_lenstronomy(name, keywords)


def test_images_with_other_profiles_than_the_list_are_refused(scenes):
    exported = to_lenstronomy(scenes)
    short = [image[1:] for image in exported.kwargs_source]
    with pytest.raises(WrongShapeError, match="image 0 has keywords of 0 profiles"):
        from_lenstronomy(replace(exported, kwargs_source=short))


def test_multipoles_of_different_orders_under_one_name_are_refused():
    own = [[{"m": m, "a_m": 0.1, "phi_m": 0.0}] for m in (3, 4)]
    exported = to_lenstronomy(LensScenes(every_profile(2), light(2), light(2)))
    batch = replace(exported, lens_model_list=["MULTIPOLE"], kwargs_lens=own)
    with pytest.raises(WrongShapeError, match="MULTIPOLE stands for 2 of our profiles"):
        from_lenstronomy(batch)


def test_batches_of_different_lengths_are_refused(scenes):
    with pytest.raises(WrongShapeError, match="5 lens models, 4 sources and 5 deflectors"):
        to_lenstronomy(replace(scenes, source=scenes.source[:4]))
