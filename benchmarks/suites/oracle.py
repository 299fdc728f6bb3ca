"""The ceiling: an oracle that knows both noiseless candidates of every image.

It is told what the scene looks like with its arcs and without them, and asked which of the two the
picture shows. Its score is the logarithm of the ratio of the two likelihoods, for independent
Gaussian pixels of the known variance; pixels further than five sigma from the truth, which
artefacts have touched, are left out. The arcs of a lens are its own; to an image without arcs those
of a lens of the same suite are proposed. No finder is told what to look for, so none comes higher.
"""

import numpy as np

from stronglens.simulation.simulated_set import ObservedBlock

TOUCHED = 5.0
"""Distance from the truth beyond which a pixel is an artefact's [sigma]."""


def oracle_scores(drawn: ObservedBlock, proposed: np.ndarray) -> np.ndarray:
    """Log-likelihood ratio of the scene with arcs to the scene without.

    Args:
        drawn: Block with the planes noiseless and source.
        proposed: Arcs (n, band, y, x) proposed to images without any [pixel units].

    Returns:
        A score per image: the sum over good pixels of ivar x arc x (flux - mean of the candidates).
    """
    ivar = drawn.images.ivar
    if ivar is None:
        raise ValueError("the oracle needs to know the noise: a block without ivar cannot be used.")
    is_lens = (np.asarray(drawn.truth["label"]) == 1)[:, None, None, None]
    n = len(is_lens)
    arcs = np.where(is_lens, drawn.planes["source"], proposed[np.arange(n) % len(proposed)])
    arcs = arcs.astype(np.float64)
    residual = drawn.images.flux.astype(np.float64) - drawn.planes["noiseless"]
    good = np.where(residual**2 * ivar < TOUCHED**2, ivar, 0.0)
    # flux less the mean of the candidates: half an arc more with arcs, half an arc less without
    apart = residual + np.where(is_lens, 0.5, -0.5) * arcs
    return (good * arcs * apart).sum(axis=(1, 2, 3))
