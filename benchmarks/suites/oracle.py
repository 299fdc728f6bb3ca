"""The ceiling: an oracle that knows both noiseless candidates of every image.

It is told what the scene looks like with its arcs and without them, artefacts and all else, and
asked which of the two the picture shows. Its score is the logarithm of the ratio of the two
likelihoods, for independent Gaussian pixels of the known variance: half the squared arc S/N of all
bands, up with arcs and down without, and noise of that S/N. The noise is drawn anew, since
artefacts, which the oracle sees through, cannot be told from it in the picture. The arcs of a lens
are its own; to an image without arcs those of a lens of the same suite are proposed. No finder is
told what to look for, so none comes higher.
"""

import numpy as np

from stronglens.core.seeds import numpy_generator
from stronglens.simulation.simulated_set import ObservedBlock


def oracle_scores(drawn: ObservedBlock, proposed: np.ndarray, key: str) -> np.ndarray:
    """Log-likelihood ratio of the scene with arcs to the scene without.

    Args:
        drawn: Block with the plane source, and the inverse variance of its images.
        proposed: Arcs (n, band, y, x) proposed to images without any [pixel units].
        key: What the noise is drawn with, such as the hash of the block.

    Returns:
        A score per image.
    """
    ivar = drawn.images.ivar
    if ivar is None:
        raise ValueError("the oracle needs to know the noise: a block without ivar cannot be used.")
    is_lens = np.asarray(drawn.truth["label"]) == 1
    n = len(is_lens)
    own = is_lens[:, None, None, None]
    arcs = np.where(own, drawn.planes["source"], proposed[np.arange(n) % len(proposed)])
    squared = (ivar * arcs.astype(np.float64) ** 2).sum(axis=(1, 2, 3))
    noise = numpy_generator(0, "oracle", key).normal(size=n)
    return np.where(is_lens, 0.5, -0.5) * squared + np.sqrt(squared) * noise
