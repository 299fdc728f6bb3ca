"""Images per second of the standard job beside the peers, each in an environment of its own.

    python benchmarks/bench_throughput.py --peers ~/peers --cores 1
    python benchmarks/bench_throughput.py --peers ~/peers --cores 0,1

It makes the environments that are missing, checks every method's pictures against a 20-fold sampled
truth, lets all of them draw the same scenes in rounds of random order, and writes
benchmarks/results/throughput.md (throughput-2.md with two cores, where each method runs once on
each core at the same time). Each process has one thread and is pinned to its core.

The standard job: 45 x 45 pixels of 0.18 arcsec, a deflector's Sersic light (n 3-5, r_eff 0.6-2"),
a Sersic source (n 0.7-2, r_eff 0.1-0.4") through an SIE with shear (theta_e 0.6-2"), a Gaussian PSF
of 0.9", Gaussian noise of sky, detector and objects.
"""

import argparse
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import numpy as np
import torch

from stronglens.lensing.records import SieShear
from stronglens.light.sersic import Sersics
from stronglens.simulation.fast import TOLERANCE, choose_plan, observe_fast
from stronglens.simulation.fast_noise import observe_in_pieces
from stronglens.simulation.fast_source import fold, pixel_response
from stronglens.simulation.gaussian_psf import GaussianPsf, gaussian_psf
from stronglens.simulation.kernels import has_compiler
from stronglens.simulation.noise import NoiseModel, observe
from stronglens.simulation.psf import gaussian_kernel
from stronglens.simulation.render import Grid, observe_planes, render_lensed, render_light

HERE = Path(__file__).parent
PIXELS, SCALE, FWHM = 45, 0.18, 0.9
BACKGROUND, GAIN = 0.385, 100.0
PADDING = 13
GRID = Grid(PIXELS, PIXELS, SCALE, oversample=3, padding=PADDING)
TRUTH = Grid(PIXELS, PIXELS, SCALE, oversample=20, padding=PADDING)
# all of the background's variance from a sky of flux 14.8 per pixel, as far as noise goes
NOISE = NoiseModel(GAIN, 0.0, -2.5 * np.log10(GAIN * BACKGROUND**2 / SCALE**2), 0.0, SCALE)
HEADLINE_TOLERANCE = 0.05

PACKAGES = {
    "lenstronomy": "lenstronomy==1.14.2",
    "jaxtronomy": "JAXtronomy==0.1.5",
    "caustics": "caustics==1.7.1",
}
"""Environment and what is installed in it; JAXtronomy chooses its own lenstronomy."""

METHODS = {
    "lenstronomy": ("lenstronomy", "lenstronomy 1.14.2, 4 x 4, PSF at the pixel scale (default)"),
    "lenstronomy-4x": ("lenstronomy", "lenstronomy 1.14.2, 4 x 4, PSF at the 4-fold scale"),
    "caustics": ("caustics", "caustics 1.7.1 `LensSource`, 4 x 4"),
    "jaxtronomy": ("jaxtronomy", "JAXtronomy 0.1.5, jit and vmap, 4 x 4, PSF at the pixel scale"),
    "exact": ("", "ours, exact path, 3 x 3, finer at centres and arcs"),
    "fast": ("", "ours, fast path, torch alone"),
    "fast-compiled": ("", "ours, fast path, compiled"),
    "fast-headline": ("", f"ours, fast path, compiled, tolerance {HEADLINE_TOLERANCE:g}"),
}
"""Method: environment ('' for this one) and title."""

Scenes = tuple[SieShear, Sersics, Sersics]


def draw_columns(n: int, seed: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    ranges = {
        "lens": {"theta_e": (0.6, 2.0), "q": (0.5, 0.95)},
        "source": {"flux": (20, 80), "r_eff": (0.1, 0.4), "n_sersic": (0.7, 2.0), "q": (0.4, 0.95)},
        "deflector": {
            "flux": (500, 1500),
            "r_eff": (0.6, 2.0),
            "n_sersic": (3.0, 5.0),
            "q": (0.5, 0.95),
        },
    }
    columns = {}
    for who, spans in ranges.items():
        reach = 0.3 if who == "source" else 0.1
        spans |= {"phi": (0, np.pi), "x_center": (-reach, reach), "y_center": (-reach, reach)}
        columns |= {
            f"{who}_{name}": rng.uniform(ends[0], ends[1], n) for name, ends in spans.items()
        }
    return columns | {f"lens_gamma{k}": rng.normal(0.0, 0.05, n) for k in (1, 2)}


def scenes_of(columns: dict[str, np.ndarray]) -> Scenes:
    def part(who: str) -> dict[str, torch.Tensor]:
        return {
            name.removeprefix(f"{who}_"): torch.as_tensor(values, dtype=torch.float32)
            for name, values in columns.items()
            if name.startswith(f"{who}_")
        }

    lights = [
        Sersics(**{k: v[:, None] for k, v in part(w).items()}) for w in ("source", "deflector")
    ]
    return SieShear(**part("lens")), lights[0], lights[1]


def psfs(n: int) -> GaussianPsf:
    return gaussian_psf(torch.full((n,), FWHM))


def draw(method: str, scenes: Scenes) -> torch.Tensor:
    lens, source, deflector = scenes
    if method == "exact":
        kernel = gaussian_kernel(torch.full((len(lens),), FWHM), GRID.fine_scale, 2 * 13 * 3 + 1)
        light = render_lensed(GRID, lens, source)
        light += render_light(GRID, deflector)
        return observe_planes((light,), kernel, GRID)[0]
    tolerance = HEADLINE_TOLERANCE if method == "fast-headline" else TOLERANCE
    plan = choose_plan(GRID, lens, source, deflector, psfs(len(lens)), tolerance)
    compiled = method != "fast"
    arcs, light = observe_fast(GRID, *scenes, psfs(len(lens)), plan, compiled=compiled)
    return arcs.add_(light)


def truth(scenes: Scenes) -> np.ndarray:
    """Every scene sampled 20 x 20, finer at centres, its PSF and pixels integrated exactly."""
    images = []
    lens, source, deflector = scenes
    for k in range(len(lens)):
        one = slice(k, k + 1)
        light = render_lensed(TRUTH, lens[one], source[one]) + render_light(TRUTH, deflector[one])
        response = pixel_response(psfs(1), PIXELS, light.shape[1], TRUTH.oversample, SCALE)
        images.append(fold(light, psfs(1), response, response))
    return torch.cat(images).numpy()


def work(method: str, path: Path, core: int) -> None:
    """Serve rounds of one of our methods, as throughput_peers.py does for the others."""
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)
    with np.load(path) as stored, torch.inference_mode():
        scenes = scenes_of({name: stored[name] for name in stored.files})
        np.save(path.with_name(f"{method}-{core}.npy"), draw(method, scenes).numpy())
        generator = torch.Generator().manual_seed(1)

        def one_round() -> None:
            noiseless = draw(method, scenes)
            if method == "exact":
                observe(noiseless, NOISE, 1, generator, "gaussian")
            else:
                observe_in_pieces(noiseless, NOISE, 1, generator)

        one_round()
        print("ready", flush=True)
        for _ in sys.stdin:
            start = time.perf_counter(), time.process_time()
            one_round()
            print(time.perf_counter() - start[0], time.process_time() - start[1], flush=True)


@dataclass(frozen=True)
class Worker:
    """A process that draws when it is told to."""

    process: subprocess.Popen[str]
    """The process; its lines are answers."""

    @classmethod
    def start(cls, method: str, environment: Path | None, scenes: Path, core: int) -> "Worker":
        if environment is None:
            command = [sys.executable, __file__, "--worker", method, str(scenes), str(core)]
        else:
            script = str(HERE / "throughput_peers.py")
            python = str(environment / "bin" / "python")
            command = [python, "-W", "ignore", script, method, str(scenes), str(core)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        return cls(process)

    def read(self) -> str:
        if self.process.stdout is None or not (line := self.process.stdout.readline()):
            raise SystemExit(f"{self.process.args} stopped; see its message above.")
        return line.strip()

    def begin(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()

    def times(self) -> tuple[float, float]:
        wall, cpu = self.read().split()
        return float(wall), float(cpu)


def make_environments(folder: Path) -> dict[str, str]:
    """Install what is missing and return what could not be installed, with the reason."""
    failed = {}
    for name, package in PACKAGES.items():
        place = folder / name
        if (place / "installed").exists():
            continue
        print(f"installing {package} in {place} ...", flush=True)
        venv.create(place, with_pip=True, clear=True)
        pins = (HERE.parent / "constraints.txt").read_text().splitlines()
        pins = [pin for pin in pins if name != "jaxtronomy" or not pin.startswith("lenstronomy==")]
        (place / "constraints.txt").write_text("\n".join(pins))
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "-q"]
        pip += ["-c", str(place / "constraints.txt")]
        steps = [[package]] if name != "caustics" else [["--no-deps", "torch==2.13.0"], [package]]
        for step in steps:
            result = subprocess.run([*pip, *step], capture_output=True, text=True, check=False)
            if result.returncode:
                lines = result.stderr.strip().splitlines()
                failed[name] = lines[-1] if lines else "pip failed"
                print(f"{package} cannot be installed: {failed[name]}", flush=True)
                break
        else:
            (place / "installed").touch()
    return failed


def measure(
    methods: list[str], peers: Path, cores: list[int], scenes: Path, rounds: int
) -> dict[str, np.ndarray]:
    """Seconds of every round, on the clock and of the processor: (round, core, 2)."""
    workers = {
        method: [
            Worker.start(method, peers / METHODS[method][0] if METHODS[method][0] else None, *place)
            for place in ((scenes, core) for core in cores)
        ]
        for method in methods
    }
    for method, pair in workers.items():
        for worker in pair:
            worker.read()
        print(f"{method} is ready", flush=True)
    seconds: dict[str, list[list[tuple[float, float]]]] = {method: [] for method in methods}
    order = random.Random(1)
    for _ in range(rounds):
        for method in order.sample(methods, len(methods)):
            for worker in workers[method]:
                worker.begin()
            seconds[method].append([worker.times() for worker in workers[method]])
    for worker in (worker for pair in workers.values() for worker in pair):
        if worker.process.stdin is not None:
            worker.process.stdin.close()
        worker.process.wait()
    return {method: np.array(values) for method, values in seconds.items()}


def commit() -> str:
    """Short hash of the commit, marked where files differ from it."""
    call = ["git", "describe", "--always", "--dirty"]
    result = subprocess.run(call, capture_output=True, text=True, check=False, cwd=HERE)
    return result.stdout.strip() or "not committed"


def cells(seconds: np.ndarray, n: int, column: int) -> float:
    """Images per second, all cores together, median of the rounds."""
    return float(np.median((n / seconds[:, :, column]).sum(axis=1)))


def table(seconds: dict[str, np.ndarray], n: int, errors: dict[str, np.ndarray]) -> str:
    lines = [
        "| 45 x 45 pixels, one thread per core | images/s, processor time | images/s, clock "
        "| / lenstronomy | / best peer | error / noise: p50, p95, max |",
        "|---|---|---|---|---|---|",
    ]
    speeds = {method: cells(values, n, 1) for method, values in seconds.items()}
    peers = {m: speed for m, speed in speeds.items() if METHODS[m][0]}
    for method, speed in speeds.items():
        ratios = (speed / peers["lenstronomy"], speed / max(peers.values()))
        p50, p95 = np.quantile(errors[method], (0.5, 0.95))
        lines.append(
            f"| {METHODS[method][1]} | {speed:,.0f} | {cells(seconds[method], n, 0):,.0f} | "
            f"{ratios[0]:.1f} | {ratios[1]:.1f} | "
            f"{p50:.3f}, {p95:.3f}, {errors[method].max():.3f} |"
        )
    return "\n".join(lines)


def write(text: str, options: argparse.Namespace, failed: dict[str, str]) -> None:
    cores = options.cores
    missing = [f"- {PACKAGES[name]} could not be installed: {why}" for name, why in failed.items()]
    together = "" if len(cores) == 1 else " Each method runs on all cores at once; rates add up."
    body = f"""# Throughput of the standard job

{text}

- Medians of {options.rounds} rounds in random order, {options.scenes} scenes a round, noise
  included; every method in a process of its own, one thread, pinned to core
  {", ".join(map(str, cores))}.{together}
- Ratios are of processor time, in which busy neighbours count least.
- Error: the largest of each noiseless picture against the same scene sampled 20 x 20, over the
  pixel's noise; {options.truths} scenes. caustics: without a border of 12 pixels. lenstronomy and
  JAXtronomy round the Sersic constant b_n.
- {datetime.now(tz=UTC):%Y-%m-%d}, commit {commit()}, torch {torch.__version__},
  {os.cpu_count()} CPU cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}.
- Made by `python benchmarks/bench_throughput.py --cores {",".join(map(str, cores))}`.
"""
    body += "".join(f"{line}\n" for line in missing)
    name = "throughput.md" if len(cores) == 1 else f"throughput-{len(cores)}.md"
    (HERE / "results" / name).write_text(body)
    print(body)


def errors_of(methods: list[str], folder: Path, core: int, scenes: Scenes) -> dict[str, np.ndarray]:
    """Worst pixel of each picture over its noise."""
    expected = truth(scenes)
    noise = np.sqrt(np.maximum(expected, 0.0) / GAIN + BACKGROUND**2)
    errors = {}
    for method in methods:
        image = np.load(folder / f"{method}-{core}.npy")[: len(expected)]
        cut = 12 if method == "caustics" else 0
        inside = slice(cut, PIXELS - cut)
        off = np.abs(image - expected) / noise
        errors[method] = off[:, inside, inside].max(axis=(1, 2))
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", type=Path, default=Path.home() / ".cache" / "stronglens-peers")
    parser.add_argument("--cores", type=lambda text: [int(k) for k in text.split(",")], default=[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--scenes", type=int, default=256, help="scenes per round")
    parser.add_argument("--truths", type=int, default=100, help="scenes compared with the truth")
    options = parser.parse_args()
    failed = make_environments(options.peers)
    methods = [name for name, (peer, _) in METHODS.items() if peer not in failed]
    if not has_compiler():
        print("no C++ compiler: the compiled rows are left out", flush=True)
        methods = [name for name in methods if name not in ("fast-compiled", "fast-headline")]
    columns = draw_columns(options.scenes)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenes.npz"
        np.savez(path, allow_pickle=False, **columns)
        seconds = measure(methods, options.peers, options.cores, path, options.rounds)
        torch.set_num_threads(1)
        with torch.inference_mode():
            few = scenes_of({name: values[: options.truths] for name, values in columns.items()})
            errors = errors_of(methods, Path(folder), options.cores[0], few)
    write(table(seconds, options.scenes, errors), options, failed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
