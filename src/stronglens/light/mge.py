"""Sersic profiles as sums of Gaussians, which a Gaussian PSF turns into sums of Gaussians.

The profile itself is in `sersic`; drawing the Gaussians is in `simulation`.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.errors import OutOfRangeError
from stronglens.light.sersic import sersic_b

N_GAUSSIANS = 16
"""Gaussians in an expansion."""
N_SERSIC_MIN = 0.5
"""Smallest index that can be expanded, a Gaussian itself; flatter cores are no sum of Gaussians."""
N_SERSIC_MAX = 8.0
"""Largest index in the table."""

# The table is even in the root of n - 1/2: dense where the profile changes fast with n.
_STEP = 0.03
# Narrowest and widest Gaussians at large n, and the only one at n = 1/2 [r_eff].
_NARROWEST, _WIDEST, _SINGLE = 0.008, 12.0, 0.85
# Added to the diagonal, in units of it: neighbouring Gaussians share what fits either.
_RIDGE = 1e-3


def _log_widths(n_sersic: Tensor) -> Tensor:
    """Logarithms of the widths, evenly spaced; their range opens up from n = 1/2."""
    excess = (n_sersic - N_SERSIC_MIN)[..., None]
    low = math.log(_SINGLE) - 0.15
    low = low - math.log(_SINGLE / _NARROWEST) * -torch.expm1(-excess / 0.30)
    high = (_SINGLE * 1.05 - (_WIDEST - _SINGLE) * torch.expm1(-excess / 1.8)).log()
    place = torch.linspace(0.0, 1.0, N_GAUSSIANS, dtype=excess.dtype, device=excess.device)
    return low + (high - low) * place


def _equations(n_sersic: Tensor) -> tuple[Tensor, Tensor]:
    """Conditions on the weights: brightness from 0.03 r_eff on, flux inside small radii.

    Each is divided by the value wanted, so that wings count as much as the centre.
    """
    n, b_n = float(n_sersic), float(sersic_b(n_sersic))
    width = _log_widths(n_sersic).exp()
    outermost = math.log10(min(3.0 * float(width[-1]), 16.0))
    r = torch.logspace(math.log10(0.03), outermost, 100, dtype=torch.float64)
    center = b_n ** (2 * n) / (2.0 * math.pi * n * math.gamma(2 * n))
    wanted = center * torch.exp(-b_n * r ** (1 / n))
    scale = 1.0 / (wanted + 3e-4 * wanted[0])
    gaussians = torch.exp(-0.5 * (r[:, None] / width) ** 2) / (2.0 * math.pi * width**2)
    inside = torch.logspace(math.log10(0.012), math.log10(0.3), 25, dtype=torch.float64)
    flux = torch.special.gammainc(2.0 * n_sersic, b_n * inside ** (1 / n))
    flux_scale = 20.0 / (flux + 0.01)
    shares = -torch.expm1(-0.5 * (inside[:, None] / width) ** 2)
    left = torch.cat([gaussians * scale[:, None], shares * flux_scale[:, None]])
    return left, torch.cat([wanted * scale, flux * flux_scale])


def non_negative_weights(
    left: Float[Tensor, "equation weight"], right: Float[Tensor, "equation"]
) -> Float[Tensor, "weight"]:
    """Least squares for weights that are not negative; those that come out negative are zero.

    Args:
        left: Coefficients of the equations [-].
        right: What they add up to [-].

    Returns:
        Weights, none negative [-].

    Reference:
        Lawson & Hanson 1974, chapter 23, in a simpler form: what has left does not come back.
    """
    is_used = torch.ones(left.shape[1], dtype=torch.bool)
    weights = left.new_zeros(left.shape[1])
    while True:
        used = left[:, is_used]
        normal = used.mT @ used
        normal.diagonal().mul_(1.0 + _RIDGE**2)
        solution = torch.linalg.solve(normal, used.mT @ right)
        if bool((solution >= 0.0).all()):
            weights[is_used] = solution
            return weights
        is_used[is_used.nonzero()[:, 0][solution < 0.0]] = False


@lru_cache(maxsize=1)
def _weight_table() -> Tensor:
    """Weights at n = 1/2 + (k step)^2, worked out once per process in a tenth of a second."""
    count = math.ceil((N_SERSIC_MAX - N_SERSIC_MIN) ** 0.5 / _STEP) + 1
    n = N_SERSIC_MIN + (_STEP * torch.arange(count, dtype=torch.float64)) ** 2
    return torch.stack([non_negative_weights(*_equations(one)) for one in n])


def gaussian_expansion(
    n_sersic: Float[Tensor, "*shape"],
) -> tuple[Float[Tensor, "*shape gaussian"], Float[Tensor, "*shape gaussian"]]:
    """Gaussians whose sum is the Sersic profile of unit flux and unit half-light radius.

    Seen through a Gaussian PSF with a sigma of at least 0.04 r_eff, the sum differs from the
    profile by at most 0.005 of its peak for n below 0.8 and 0.002 of it above. Light beyond about
    16 r_eff is left out: 4 % of the flux at n = 8, 0.5 % at n = 4.

    Args:
        n_sersic: Sersic index from 0.5 to 8 [-].

    Returns:
        Flux of each Gaussian, not negative [-], and its standard deviation, rising [r_eff].

    Raises:
        OutOfRangeError: An index lies outside the table or is not a number.

    Reference:
        Emsellem, Monnet & Bacon 1994.
    """
    if not bool(((n_sersic >= N_SERSIC_MIN) & (n_sersic <= N_SERSIC_MAX)).all()):
        raise OutOfRangeError(
            f"n_sersic from {float(n_sersic.min())} to {float(n_sersic.max())} is outside "
            f"{N_SERSIC_MIN}-{N_SERSIC_MAX}. Draw such profiles with `render_light`."
        )
    table = _weight_table().to(n_sersic)
    place = (n_sersic - N_SERSIC_MIN).sqrt() / _STEP
    below = place.floor().clamp_max(len(table) - 2)
    part = (place - below)[..., None]
    below = below.to(torch.int64)
    weights = torch.lerp(table[below], table[below + 1], part)
    return weights, _log_widths(n_sersic).exp()
