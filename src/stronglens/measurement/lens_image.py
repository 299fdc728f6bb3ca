"""One image of a lens with all that a measurement needs; how it is read is in `inputs`."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from stronglens.core.errors import OutOfRangeError, WrongShapeError


@dataclass(frozen=True)
class LensImage:
    """A sky-subtracted image in one band, with its noise, bad pixels, PSF and pixel scale."""

    flux: Float[np.ndarray, "y x"]
    """Image, background removed [pixel units]."""
    sigma: Float[np.ndarray, "_ _"]
    """Standard deviation of the noise in each pixel [pixel units]."""
    mask: Bool[np.ndarray, "_ _"]
    """True where a pixel is bad."""
    psf: Float[np.ndarray, "k_y k_x"]
    """PSF at the pixel scale, of odd size, centred; its sum is one [-]."""
    pixel_scale: float
    """Pixel scale [arcsec/pixel]."""
    name: str = ""
    """What the image is called."""

    def __post_init__(self) -> None:
        """Refuse parts that do not fit one another."""
        shape = self.flux.shape
        if self.sigma.shape != shape or self.mask.shape != shape:
            raise WrongShapeError(
                f"image {self.name!r} has flux of shape {shape}, sigma of {self.sigma.shape} and "
                f"mask of {self.mask.shape}. Pass three arrays of one shape."
            )
        if self.psf.shape[0] % 2 == 0 or self.psf.shape[1] % 2 == 0:
            raise WrongShapeError(
                f"psf of image {self.name!r} has shape {self.psf.shape}, whose middle is not a "
                "pixel. Pass a PSF of odd height and width."
            )
        if not self.pixel_scale > 0:
            raise OutOfRangeError(
                f"pixel_scale={self.pixel_scale} of image {self.name!r} is not above 0 "
                "arcsec/pixel. Pass the scale of the image."
            )

    @property
    def is_good(self) -> Bool[np.ndarray, "y x"]:
        """True where the pixel is not masked, finite, and of known noise."""
        is_known = np.isfinite(self.flux) & np.isfinite(self.sigma) & (self.sigma > 0)
        return is_known & ~self.mask

    def replaced(self, **parts: Any) -> "LensImage":  # noqa: ANN401 - any part
        """Return the same image with other parts in place of some of its own.

        Args:
            parts: Fields by name.
        """
        return replace(self, **parts)
