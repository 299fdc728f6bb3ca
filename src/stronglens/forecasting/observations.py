"""How Collett 2015 observed each survey: facts of that paper's code, not of the surveys today.

What the surveys are is in `stronglens.surveys`; the names are shared, the numbers are not.
"""

import math
from dataclasses import dataclass

import numpy as np

from stronglens.core.registry import Registry

_SOURCE = "settings of the code of Collett 2015 (ApJ 811, 20; arXiv 1507.02657)"
FULL_SKY = 41252.96
"""Solid angle of the sphere [deg^2]."""

# 5 and 95 % of a normal distribution lie so many standard deviations from its median
_NINETY = 1.6449


@dataclass(frozen=True)
class Spread:
    """A normal distribution with different widths below and above its median."""

    median: float
    """Median."""
    below: float = 0.0
    """Standard deviation below the median."""
    above: float = 0.0
    """Standard deviation above the median."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw values.

        Args:
            rng: Source of randomness.
            shape: Shape of the result.
        """
        normal = rng.standard_normal(shape)
        return self.median + normal * np.where(normal < 0.0, self.below, self.above)


def spread_of(low: float, median: float, high: float) -> Spread:
    """Return the distribution with these 5, 50 and 95 % quantiles."""
    return Spread(median, (median - low) / _NINETY, (high - median) / _NINETY)


def logarithmic(low: float, median: float, high: float) -> Spread:
    """Return the distribution of the logarithm with these 5, 50 and 95 % quantiles."""
    return spread_of(math.log(low), math.log(median), math.log(high))


@dataclass(frozen=True)
class ObservedBand:
    """One band of an observation."""

    name: str
    """Filter: g, r, i or vis."""
    zero_point: float
    """Magnitude of one count in the reference exposure [mag AB]."""
    exposure_time: float
    """Total of all exposures [s]."""
    log_seeing: Spread
    """Natural logarithm of the PSF FWHM of an exposure [ln arcsec]."""
    sky_brightness: Spread
    """Sky of an exposure [mag AB / arcsec^2]."""


@dataclass(frozen=True)
class DifferenceFinder:
    """How the g-i finder looks at a survey: D = g - alpha i, PSF matched."""

    strategy: str = "optimal"
    """Which exposures it stacks."""
    cross_convolved: bool = False
    """Whether each band is blurred by the other's PSF, instead of all to the worst of them."""
    z_lens: tuple[float, float] = (0.0, 99.0)
    """Redshifts of the deflectors it looks at."""
    mag_deflector_i: tuple[float, float] = (-99.0, 99.0)
    """Magnitudes of the deflectors it looks at [mag AB]."""


@dataclass(frozen=True)
class Observation:
    """Settings under which a survey was simulated in 2015."""

    area: float
    """Area that counts were scaled to [deg^2]."""
    pixel_scale: float
    """Pixel scale [arcsec/pixel]."""
    side: int
    """Side of the simulated frames [pixel]."""
    reference_time: float
    """Exposure that the zero points refer to [s]."""
    n_exposures: int
    """Exposures of each band."""
    gain: float
    """Electrons per count [electron]."""
    read_noise: float
    """Read-noise variable [electrons in name only: see `images.pixel_variance`]."""
    bands: tuple[ObservedBand, ...]
    """Bands."""
    finder: DifferenceFinder | None = None
    """The g-i finder, where there are both bands."""
    source: str = _SOURCE
    """Where the numbers come from."""


observations: Registry[Observation] = Registry("survey of the forecast")
"""Observations by the name of the survey."""

observations.register("des-dr2")(
    Observation(
        area=5000.0,
        pixel_scale=0.263,
        side=76,
        reference_time=90.0,
        n_exposures=10,
        gain=4.5,
        read_noise=10.0 / 4.5,
        bands=(
            ObservedBand(
                "g", 30.0, 900.0, logarithmic(0.99, 1.24, 1.65), spread_of(21.35, 21.69, 21.95)
            ),
            ObservedBand(
                "r", 30.0, 900.0, logarithmic(0.85, 1.05, 1.40), spread_of(20.22, 20.63, 20.93)
            ),
            ObservedBand(
                "i", 30.0, 900.0, logarithmic(0.80, 0.96, 1.25), spread_of(18.99, 19.44, 19.94)
            ),
        ),
        finder=DifferenceFinder(),
    )
)

# The table that the LSST exposures were drawn from is not public knowledge any more. Of 100 draws
# the best was about 0.50 and the worst about 1.64 arcsec: the medians of the extremes of 100 draws
# from a log-normal of median 0.905 arcsec and scatter 24.1 %. An assumption, as is the scatter of
# the sky around the nominal brightness.
_LSST_LOG_SEEING = Spread(math.log(0.905), 0.241, 0.241)
observations.register("lsst-y10")(
    Observation(
        area=20000.0,
        pixel_scale=0.18,
        side=111,
        reference_time=25.0,
        n_exposures=100,
        gain=4.5,
        read_noise=10.0 / 4.5,
        bands=(
            ObservedBand("g", 30.0, 3000.0, _LSST_LOG_SEEING, Spread(21.7, 0.2, 0.2)),
            ObservedBand("r", 30.0, 6000.0, _LSST_LOG_SEEING, Spread(20.7, 0.2, 0.2)),
            ObservedBand("i", 30.0, 6000.0, _LSST_LOG_SEEING, Spread(20.1, 0.2, 0.2)),
        ),
        finder=DifferenceFinder(),
        source=_SOURCE + "; seeing and scatter of the sky assumed",
    )
)

observations.register("euclid-vis")(
    Observation(
        area=15000.0,
        pixel_scale=0.1,
        side=200,
        reference_time=1.0,
        n_exposures=4,
        gain=1.0,
        read_noise=4.5,
        bands=(ObservedBand("vis", 25.5, 1610.0, Spread(math.log(0.17)), Spread(22.2)),),
    )
)

# drawn sky brightnesses are not tabulated for the coadds of CFHTLS: nominal ones, scatter assumed
observations.register("cfhtls")(
    Observation(
        area=150.0,
        pixel_scale=0.187,
        side=107,
        reference_time=1.0,
        n_exposures=1,
        gain=1.62,
        read_noise=5.0,
        bands=(
            ObservedBand("g", 26.96, 3500.0, logarithmic(0.66, 0.84, 1.08), Spread(21.9, 0.2, 0.2)),
            ObservedBand("r", 26.47, 5500.0, logarithmic(0.56, 0.79, 1.05), Spread(20.6, 0.2, 0.2)),
            ObservedBand("i", 26.24, 5500.0, logarithmic(0.52, 0.69, 0.93), Spread(19.2, 0.2, 0.2)),
        ),
        finder=DifferenceFinder("all", True, (0.2, 1.0), (17.0, 22.0)),
        source=_SOURCE + "; scatter of the sky assumed",
    )
)
