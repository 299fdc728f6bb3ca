"""A toy dataset for tests of training: blobs, half of them with a ring around."""

from pathlib import Path

import numpy as np

from stronglens.data.layout import ImageFacts, Images
from stronglens.data.writer import DatasetWriter

SIZE = 45


def toy_images(n: int, *, seed: int = 0, size: int = SIZE, ring: float = 4.0):
    """Return flux, ivar and labels of n blobs with noise; every second one has a ring."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    label = np.arange(n) % 2
    theta_e = generator.uniform(5, 9, n)
    center = generator.uniform(-2, 2, (2, n, 1, 1))
    radius = np.hypot(x - center[0], y - center[1])
    amplitude = generator.uniform(20, 60, (n, 1, 1))
    flux = amplitude * np.exp(-((radius / 4) ** 2))
    flux += ring * label[:, None, None] * np.exp(-(((radius - theta_e[:, None, None]) / 1.5) ** 2))
    flux = flux[:, None] + generator.normal(size=(n, 1, size, size))
    ivar = np.ones_like(flux)
    theta_e = np.where(label == 1, theta_e * 0.18, np.nan)
    return flux.astype(np.float32), ivar.astype(np.float32), label, theta_e


def write_toy_dataset(path: Path, n: int = 300, **options) -> Path:
    """Write a toy dataset with the splits train (half), validation and test."""
    flux, ivar, label, theta_e = toy_images(n, **options)
    split = np.array(["train", "validation", "train", "test"])[(np.arange(n) // 2) % 4]
    facts = ImageFacts(("lsst-g",), 0.18, 30.0, flux.shape[2], flux.shape[3])
    writer = DatasetWriter(path, facts, n)
    for start, stop in writer.missing_shards():
        rows = slice(start, stop)
        truth = {
            "object_id": np.array([f"toy-{i}" for i in range(start, stop)]),
            "split": split[rows],
            "label": label[rows],
            "theta_e": theta_e[rows],
            "arc_snr": theta_e[rows] * 20,
        }
        writer.write_shard(start, Images(flux[rows], ivar[rows]), truth)
    writer.finish({"seed": 0})
    return path
