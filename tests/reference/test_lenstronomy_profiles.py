"""Every registered mass profile against lenstronomy, through the names and keywords we export.

Both packages take the same rays and the same parameters; single-precision parameters are handed
over as they are, so that only the arithmetic differs.
"""

import math

import numpy as np
import pytest
import torch
from lens_scenes import uniform
from lenstronomy.LensModel.lens_model import LensModel

from stronglens.core.errors import OutOfRangeError
from stronglens.core.lenstronomy import mass_to_lenstronomy
from stronglens.lensing.profiles import epl, profiles

RANGES = {
    "theta_e": (0.3, 1.5),
    "slope": (1.4, 2.6),
    "r_scale": (0.5, 8.0),
    "alpha_r_scale": (0.2, 2.0),
    "a_m": (-0.1, 0.1),
    "phi_m": (-math.pi, math.pi),
    "q": (0.2, 0.999),
    "phi": (-math.pi, math.pi),
    "x_center": (-0.5, 0.5),
    "y_center": (-0.5, 0.5),
    "gamma1": (-0.2, 0.2),
    "gamma2": (-0.2, 0.2),
}
N = 40
"""Lenses per profile."""
OUR_LAWS = {"alpha": "deflection", "potential": "potential", "kappa": "convergence"}


@pytest.fixture(params=profiles.names())
def name(request):
    return request.param


def lenses(name, dtype, seed=4):
    """Parameters, and rays on a ring from 0.3 to 4 arcsec around each centre, off all symmetry."""
    keys = profiles.get(name).parameters
    values = {key: uniform((N,), *RANGES[key], seed + i).to(dtype) for i, key in enumerate(keys)}
    radius, angle = uniform((N, 7, 9), 0.3, 4.0, seed + 50), uniform((N, 7, 9), -3.2, 3.2, seed)
    x = values["x_center"].double()[:, None, None] + radius * torch.cos(angle)
    y = values["y_center"].double()[:, None, None] + radius * torch.sin(angle)
    return values, x.to(dtype), y.to(dtype)


def by_lenstronomy(name, law, x, y, values):
    """The law for every lens, (component, n, y, x)."""
    results = []
    for k in range(N):
        theirs, keywords = mass_to_lenstronomy(
            name, {key: float(v[k]) for key, v in values.items()}
        )
        rays = [axis[k].double().numpy().ravel() for axis in (x, y)]
        result = np.atleast_2d(getattr(LensModel([theirs]), law)(*rays, [keywords]))
        results.append(result.reshape(-1, *x.shape[1:]))
    return np.stack(results, axis=1)


def ours(name, law, x, y, values):
    result = getattr(profiles.get(name), OUR_LAWS[law])(x, y, **values)
    parts = result if isinstance(result, tuple) else (result,)
    return torch.stack(parts).double().numpy()


@pytest.mark.parametrize(
    # single precision: a ray is known to 1e-7 arcsec and the steepest field here, of a point mass
    # at 0.3 arcsec, rises by 25 per arcsec. Double: lenstronomy softens the centre of the SIE.
    ("dtype", "tolerance"),
    [(torch.float32, 1e-5), (torch.float64, 1e-8)],
)
def test_deflections_equal_those_of_lenstronomy(name, dtype, tolerance):
    values, x, y = lenses(name, dtype)
    theirs = by_lenstronomy(name, "alpha", x, y, values)
    found = ours(name, "alpha", x, y, values)
    assert found.shape == theirs.shape == (2, *x.shape)
    assert np.abs(theirs).max() > 0.01
    np.testing.assert_array_less(np.abs(found - theirs), tolerance)


# lenstronomy softens centres, and its halo takes 0 / 0 near the scale radius
TOLERANCES = {("sie", "kappa"): 5e-5}
"""Where 1e-8 is too much to ask: lenstronomy takes this from differences of the deflection."""


@pytest.mark.parametrize("law", ["potential", "kappa"])
def test_potential_and_convergence_equal_those_of_lenstronomy(name, law):
    values, x, y = lenses(name, torch.float64)
    theirs = by_lenstronomy(name, law, x, y, values)
    tolerance = TOLERANCES.get((name, law), 1e-8)
    np.testing.assert_allclose(ours(name, law, x, y, values), theirs, rtol=1e-7, atol=tolerance)


@pytest.mark.parametrize("q", [0.05, 0.15, 0.3, 0.5, 0.8, 0.999, 1.0])
@pytest.mark.parametrize("slope", [1.3, 2.0, 2.7])
def test_a_power_law_in_single_precision_is_cut_below_5e_7_arcsec(q, slope, monkeypatch):
    """The terms of single precision, summed in double: nothing but the cut is left of the error."""
    n_terms = epl._n_terms(torch.tensor([q]))
    values = {"theta_e": 1.0, "slope": slope, "q": q, "phi": 0.0, "x_center": 0.0, "y_center": 0.0}
    values = {name: torch.tensor([value], dtype=torch.float64) for name, value in values.items()}
    angle = torch.linspace(0.0, 2 * math.pi, 721, dtype=torch.float64)[None, None]
    x, y = torch.cos(angle) / q**0.5, torch.sin(angle) * q**0.5
    whole = torch.stack(epl.deflection(x, y, **values))
    monkeypatch.setattr(epl, "_n_terms", lambda _: n_terms)
    cut = torch.stack(epl.deflection(x, y, **values))
    assert (whole - cut).abs().max() < 5e-7
    assert n_terms < 8 or (whole - cut).abs().max() > 1e-12


@pytest.mark.parametrize("q", [0.0, -0.3, float("nan")])
def test_a_power_law_without_thickness_is_refused(q):
    x = torch.ones(1, 2, 3)
    one = torch.ones(1)
    with pytest.raises(OutOfRangeError, match=r"axis ratio q .* Draw axis ratios in \(0, 1\]"):
        epl.deflection(x, x, one, 2 * one, torch.tensor([q]), one, one, one)


def test_one_flat_lens_leaves_the_others_of_its_batch_as_precise():
    x = torch.linspace(-2.0, 2.0, 30)[None, None].expand(2, 1, 30)
    values = {"theta_e": [1.2, 1.2], "slope": [2.2, 2.2], "q": [0.9, 0.05], "phi": [0.4, 0.4]}
    values = {k: torch.tensor(v) for k, v in (values | {"x_center": [0.1, 0.1]}).items()}
    values |= {"y_center": torch.tensor([0.3, 0.3])}
    together = epl.deflection(x, x, **values)
    alone = epl.deflection(x[:1], x[:1], **{name: value[:1] for name, value in values.items()})
    for both, one in zip(together, alone, strict=True):
        torch.testing.assert_close(both[:1], one, rtol=0, atol=2e-6)
