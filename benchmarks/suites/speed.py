"""How many images a second each network scores on one thread and on two.

Scaling of the images is part of it, reading them is not.
"""

import os
import time
from dataclasses import replace

import numpy as np
import torch

from stronglens.finders.finder import Finder, FinderFacts
from stronglens.finders.networks import architecture_of, build_network, networks
from stronglens.finders.normalise import SkyAsinh

NETWORKS = ("deck-cnn", "cmu-deeplens", "resnet-small")
SHAPES = {"1 band, 45x45": (1, 45), "4 bands, 64x64": (4, 64)}
VIEWS = ("none", "d4")
COMMITTEE = 5
BATCH = 64
LEAST_SECONDS = 1.0
"""A figure is measured over at least so long."""


def speed_page(facts: str, least: float = LEAST_SECONDS) -> str:
    """Markdown page of the rates.

    Args:
        facts: Where it was measured.
        least: Time of each measurement [s].
    """
    heads = ["images", "finder", "views", "1 thread", "2 threads"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    before = torch.get_num_threads()
    try:
        for shape, (n_bands, size) in SHAPES.items():
            flux = torch.rand(BATCH, n_bands, size, size).numpy()
            for name, finders in crews(n_bands, size).items():
                for views in VIEWS:
                    seen = [finder.with_views(views) for finder in finders]
                    rates = [rate_of(seen, flux, n, least) for n in (1, 2)]
                    cells = [shape, name, views, *(f"{rate:,.0f}" for rate in rates)]
                    lines.append(f"| {' | '.join(cells)} |")
    finally:
        torch.set_num_threads(before)
    load = f"Load meanwhile: {os.getloadavg()[1]:.0f} on {os.cpu_count()} cores."
    words = (
        f"{facts} {load} Images per second, scaling included and reading not, in batches of "
        f"{BATCH}; `d4` averages over the eight views of a square. Weights are random: rates do "
        "not depend on them. One thread is measured in its processor time, which is wall-clock "
        "time on an idle machine; two threads in wall-clock time, which says nothing where the "
        "load is above the number of cores."
    )
    return "# Scoring speed\n\n" + words + "\n\n" + "\n".join(lines) + "\n"


def crews(n_bands: int, size: int) -> dict[str, list[Finder]]:
    """Finders to be timed by name: each network alone, and a committee of ours."""
    made = {f"`{name}`": [untrained(name, n_bands, size)] for name in NETWORKS}
    ours = NETWORKS[-1]
    made[f"committee of {COMMITTEE} `{ours}`"] = [
        untrained(ours, n_bands, size, seed=k) for k in range(COMMITTEE)
    ]
    return made


def untrained(name: str, n_bands: int, size: int, seed: int = 0) -> Finder:
    """Finder of a network with random weights."""
    architecture = architecture_of(name)
    shape = replace(networks.facts(name)["input_shape"], n_bands=n_bands, height=size, width=size)
    bands = tuple(f"band-{k}" for k in range(n_bands))
    facts = FinderFacts(name, architecture, bands, size, size, 0.2, 30.0)
    network = build_network(name, shape, architecture, seed=seed).eval()
    return Finder(network.to(memory_format=torch.channels_last), SkyAsinh(), facts=facts)  # type: ignore[call-arg]


def rate_of(finders: list[Finder], flux: np.ndarray, n_threads: int, least: float) -> float:
    """Images per second that finders score one after the other."""
    torch.set_num_threads(n_threads)
    ivar = np.ones_like(flux)
    for finder in finders:
        finder.logits(flux, ivar)  # the first pass is slower
    clock = time.process_time if n_threads == 1 else time.perf_counter
    n, began = 0, clock()
    while n == 0 or clock() - began < least:
        for finder in finders:
            finder.logits(flux, ivar)
        n += len(flux)
    return n / (clock() - began)
