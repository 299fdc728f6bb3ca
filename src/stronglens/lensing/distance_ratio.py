"""Distance ratios in flat universes with any matter density and dark energy of constant w.

The one cosmology that everything else uses is in `cosmology`.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

_NODES = 24


@lru_cache(maxsize=2)
def _gauss_legendre(n: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights on 0 to 1, from the eigenvalues of the Jacobi matrix (Golub & Welsch)."""
    k = torch.arange(1, n, dtype=torch.float64)
    off = k / torch.sqrt(4.0 * k**2 - 1.0)
    values, vectors = torch.linalg.eigh(torch.diag(off, 1) + torch.diag(off, -1))
    return 0.5 * (values + 1.0), vectors[0] ** 2


def comoving_integral(
    z: Float[Tensor, "*#shape"],
    matter_density: Float[Tensor, "*#shape"],
    w: Float[Tensor, "*#shape"],
) -> Float[Tensor, "*shape"]:
    """Line-of-sight comoving distance in units of c / H0.

    Args:
        z: Redshift [-].
        matter_density: Matter density today over the critical density, 0 to 1 [-].
        w: Pressure over density of dark energy [-].

    Returns:
        Integral of H0 / H from 0 to z [-].

    Reference:
        Hogg 1999 (astro-ph/9905116), eq. 15, with E(z)^2 = Om (1+z)^3 + (1-Om) (1+z)^(3 (1+w));
        checked against astropy `FlatwCDM` in tests/unit.
    """
    nodes, weights = _gauss_legendre(_NODES)
    total = torch.zeros(torch.broadcast_shapes(z.shape, matter_density.shape, w.shape)).double()
    for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
        log_a = torch.log1p(z * node)
        matter = matter_density * torch.exp(3.0 * log_a)
        dark = (1.0 - matter_density) * torch.exp(3.0 * (1.0 + w) * log_a)
        total = total + weight * torch.rsqrt(matter + dark)
    return total * z


def distance_ratio(
    z_lens: Float[Tensor, "*#shape"],
    z_source: Float[Tensor, "*#shape"],
    matter_density: Float[Tensor, "*#shape"],
    w: Float[Tensor, "*#shape"],
) -> Float[Tensor, "*shape"]:
    """d_ls / d_source; the Hubble constant drops out.

    Args:
        z_lens: Redshift of the deflector [-].
        z_source: Redshift of the source, behind the deflector [-].
        matter_density: Matter density today over the critical density, 0 to 1 [-].
        w: Pressure over density of dark energy [-].

    Returns:
        The ratio, between 0 and 1 [-].

    Reference:
        Hogg 1999 (astro-ph/9905116), eq. 19, for a flat universe: 1 - chi(z_lens) / chi(z_source).
    """
    behind = comoving_integral(z_source, matter_density, w)
    return 1.0 - comoving_integral(z_lens, matter_density, w) / behind


def log_dispersion_factor(slope: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Ln f: how the dispersion in an aperture depends on the slope of a spherical power law.

    Stars follow the mass, and their orbits are isotropic. Then
    d_ls / d_source = c^2 theta_e / (4 pi sigma_v^2) (aperture / theta_e)^(2 - slope) / f, where
    f is 1 for an isothermal sphere.

    Args:
        slope: Slope of the density, above 1.5 and below 2.5, where the mean over an aperture
            converges [-].

    Returns:
        ln f [-].

    Reference:
        Koopmans 2006 (EAS Publ. Ser. 20, 161; astro-ph/0511121); Cao et al. 2015 (ApJ 806, 185),
        eq. 6 and 7; checked against the integrals of the Jeans equation in tests/unit.
    """
    gammas = (
        torch.lgamma(slope - 1.0)
        - torch.lgamma(slope - 1.5)
        + 2.0 * (torch.lgamma(0.5 * (slope - 1.0)) - torch.lgamma(0.5 * slope))
    )
    ratio = (5.0 - 2.0 * slope) * (slope - 1.0) / (3.0 - slope)
    return torch.log(ratio) + gammas - 0.5 * math.log(math.pi)
