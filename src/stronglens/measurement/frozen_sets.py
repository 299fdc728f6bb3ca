"""Frozen simulated sets that measurements are compared on: defined by code and seed, never stored.

Each has lens light, neighbours and masks, and arcs of a stated S/N; how the images are made is in
`mock_images`.
"""

from collections.abc import Iterator

from stronglens.core.errors import OutOfRangeError, unknown_name
from stronglens.measurement.mock_frames import MockFrame, PsfShape
from stronglens.measurement.mock_images import MockChoices, MockImages, draw_images

SEED = 20_261_122
"""Seed of all frozen sets."""
THETA_E = (0.8, 1.8)
"""Range of theta_e in them, logarithm uniform [arcsec]."""
ARC_SNRS = (30.0, 100.0, 300.0)
"""S/N of their arcs [-]."""
BLOCK = 50
"""Images that are simulated together."""


def _frame(pixel_scale: float, n_pixels: int, psf: PsfShape) -> MockFrame:
    return MockFrame(pixel_scale, n_pixels, psf, psf)


FROZEN_SETS = {
    "sim-hst": _frame(0.05, 96, PsfShape(0.09, 2.5, 0.02, -0.01, 0.10)),
    "sim-euclid": _frame(0.10, 64, PsfShape(0.18, 2.8, 0.01, 0.02, 0.05)),
    "sim-ground": _frame(0.18, 45, PsfShape(0.70, 3.5, 0.02, 0.01)),
}
"""Pixels and PSF of each set, by name."""


def frozen_set(name: str, arc_snr: float, n: int) -> Iterator[MockImages]:
    """Yield the first n images of a frozen set, in blocks.

    Args:
        name: One of `FROZEN_SETS`.
        arc_snr: S/N of the arcs; the scenes are the same for all [-].
        n: Number of images.

    Yields:
        Blocks of images with their truth.

    Raises:
        UnknownNameError: There is no such set.
        OutOfRangeError: n or arc_snr is not above 0.
    """
    if name not in FROZEN_SETS:
        raise unknown_name("frozen set", name, FROZEN_SETS)
    if n < 1 or not arc_snr > 0:
        raise OutOfRangeError(
            f"n={n} images of arc_snr={arc_snr} make no set. Allowed: 1 or more, and above 0."
        )
    choices = MockChoices(FROZEN_SETS[name], arc_snr, THETA_E, oversample=4)
    for start in range(0, n, BLOCK):
        images = draw_images(SEED, start // BLOCK, BLOCK, choices)
        yield images if n - start >= BLOCK else images.first(n - start)
