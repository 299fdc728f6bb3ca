"""How well the network of posteriors measures the frozen sets, and whether its errors hold.

    python benchmarks/bench_posterior.py --n 1000
    python benchmarks/bench_posterior.py --n 10000 --posterior runs/posterior

Errors are over all lenses, whatever the network says of them. It writes
benchmarks/results/posterior.md. Images and draws depend on seeds alone.
"""

import argparse
import platform
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from stronglens.measurement.calibration import sample_posteriors
from stronglens.measurement.certificate import LEVELS, accuracy, coverage, ranks, tarp_coverage
from stronglens.measurement.frozen_sets import ARC_SNRS, FROZEN_SETS, frozen_set
from stronglens.measurement.parameters import PARAMETERS
from stronglens.measurement.posterior_network import PosteriorNetwork, load_posterior

HERE = Path(__file__).parent
PLACE = {name: i for i, name in enumerate(PARAMETERS)}
COLUMNS = (
    "set | S/N | theta_e NMAD [%] | theta_e > 15 % off [%] | e rms | shear rms | slope rms | "
    "centre rms [arcsec] | gain [nat] | worst coverage error | TARP error"
)


def row(network: PosteriorNetwork, name: str, snr: float, n: int, n_draws: int) -> str:
    sample = sample_posteriors(network, frozen_set(name, snr, n), n_draws, seed=7)
    theta_e = sample.truth[:, 0]
    relative = sample.draws[:, :, 0] / theta_e
    error = np.abs(np.median(relative, axis=0) - 1.0)

    def rms(*names: str) -> float:
        each = [accuracy(sample.draws[:, :, PLACE[k]], sample.truth[:, PLACE[k]]) for k in names]
        return float(np.sqrt(np.mean([one.rms**2 for one in each])))

    found = coverage(ranks(sample.draws, sample.truth))
    worst = np.abs(found - LEVELS[:, None]).max(axis=0)
    joint = np.abs(tarp_coverage(sample.latent, sample.latent_truth) - LEVELS).max()
    # the base of the flow is the prior: width 1 in every latent parameter
    gain = -np.log(sample.latent.std(axis=0)).mean(axis=0).sum()
    return (
        f"{name} | {snr:.0f} | {100 * accuracy(relative, np.ones(len(theta_e))).nmad:.1f} | "
        f"{100 * np.mean(error > 0.15):.1f} | {rms('e1', 'e2'):.3f} | "
        f"{rms('gamma1', 'gamma2'):.3f} | {rms('slope'):.3f} | "
        f"{rms('x_center', 'y_center'):.3f} | {gain:.1f} | "
        f"{worst.max():.3f} ({PARAMETERS[int(worst.argmax())]}) | {joint:.3f}"
    )


def milliseconds(network: PosteriorNetwork) -> float:
    image = next(frozen_set("sim-euclid", 100.0, 1)).lens_image(0)
    times = []
    for seed in range(12):
        start = time.perf_counter()
        network.draws(image, 1000, seed=seed)
        times.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times[2:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--posterior", default=None, help="run directory or weights file")
    parser.add_argument("--n", type=int, default=1000, help="lenses a cell")
    parser.add_argument("--draws", type=int, default=128, help="draws per lens")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "posterior.md")
    options = parser.parse_args()
    network = load_posterior(options.posterior)
    lines = [COLUMNS, " | ".join(["---"] * (COLUMNS.count("|") + 1))]
    print(network, COLUMNS, sep="\n")
    for name in FROZEN_SETS:
        for snr in ARC_SNRS:
            lines.append(row(network, name, snr, options.n, options.draws))
            print(lines[-1], flush=True)
    note = (
        f"{network!r}; {options.n} lenses a cell, theta_e 0.8-1.8 arcsec, lens light on; 95 % of "
        f"the worst deviations of one parameter with perfect errors stay below "
        f"{1.36 / np.sqrt(options.n):.3f}. {milliseconds(network):.0f} ms for 1,000 draws of one "
        f"image, {torch.get_num_threads()} thread(s), {platform.machine()}, "
        f"{datetime.now(UTC):%Y-%m-%d}."
    )
    text = "\n".join(f"| {line} |" for line in lines)
    options.out.write_text(f"# The network of posteriors on the frozen sets\n\n{text}\n\n{note}\n")
    print(note)


if __name__ == "__main__":
    main()
