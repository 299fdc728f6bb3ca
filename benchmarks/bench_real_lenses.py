"""Scoreboard: a folder of lenses and a table of published Einstein radii, against our measurement.

    python benchmarks/bench_real_lenses.py FOLDER [--truth truth.csv] [--out DIR] [--results FILE]

A table of another code's results (CSV with the columns name, theta_e and, if it has one, verdict)
is scored in the same way with --results. Published values are read for scoring alone.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--truth", type=Path, help="by default truth.csv in the folder")
    parser.add_argument("--theta-e-column", default="theta_e_sie_arcsec")
    parser.add_argument("--pixel-scale", type=float, default=0.05)
    parser.add_argument("--lens-model", default="sie+shear")
    parser.add_argument("--n-draws", type=int, default=256)
    parser.add_argument("--only", nargs="*", help="names of some of the lenses")
    parser.add_argument("--results", type=Path, help="score this table and measure nothing")
    parser.add_argument("--out", type=Path, default=Path("runs/real-lenses"))
    options = parser.parse_args()
    truth = read_truth(options.truth or options.folder / "truth.csv", options.theta_e_column)
    rows = read_results(options.results) if options.results else measure(options, truth)
    table = scoreboard(rows, truth)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "scoreboard.md").write_text(table, encoding="utf-8")
    print(table)


def read_truth(path: Path, column: str) -> dict[str, float]:
    with path.open(newline="", encoding="utf-8") as file:
        return {row["name"]: float(row[column]) for row in csv.DictReader(file)}


def read_results(path: Path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = [dict(row) for row in csv.DictReader(file)]
    numbers = ("theta_e", "theta_e_16", "theta_e_84", "chi2", "k_hat", "effective_sample_size",
               "seconds")  # fmt: skip
    for row in rows:
        row.update({key: float(row.get(key) or "nan") for key in numbers})
        row.setdefault("verdict", "")
    return rows


def measure(options: argparse.Namespace, truth: dict[str, float]) -> list[dict]:
    import stronglens as sl

    names = options.only or [n for n in truth if (options.folder / n).is_dir()]
    task = sl.Measure(
        files=tuple(options.folder / name for name in names), pixel_scale=options.pixel_scale,
        lens_model=options.lens_model, n_draws=options.n_draws,
    )  # fmt: skip
    run = task.run(options.out / time.strftime("%Y%m%d-%H%M%S"))
    return read_results(run.path / "measurements.csv")


def scoreboard(rows: list[dict], truth: dict[str, float]) -> str:
    heads = "lens | published | theta_e | error | off | verdict | chi2 | k-hat | effective | s"
    lines = [f"| {heads} |",
             "|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    offs, verdicts, pulls = [], [], []
    for row in rows:
        if row["name"] not in truth:
            continue
        published, found = truth[row["name"]], row["theta_e"]
        error = 0.5 * (row["theta_e_84"] - row["theta_e_16"])
        off = found / published - 1.0
        offs.append(off)
        verdicts.append(row["verdict"])
        pulls.append((found - published) / np.hypot(error, 0.02 * published))
        lines.append(
            f"| {row['name']} | {published:.2f} | {found:.3f} | {error:.3f} | {100 * off:+.1f} % | "
            f"{row['verdict']} | {row['chi2']:.2f} | {row['k_hat']:.2f} | "
            f"{row['effective_sample_size']:.0f} | {row['seconds']:.0f} |"
        )
    return "\n".join([*lines, "", *summary(np.array(offs), verdicts, np.array(pulls), rows), ""])


def summary(
    offs: np.ndarray, verdicts: list[str], pulls: np.ndarray, rows: list[dict]
) -> list[str]:
    n, is_found = len(offs), np.isfinite(offs)
    good = np.abs(offs[is_found])
    is_verified = np.array([v == "verified" for v in verdicts]) & is_found
    outliers = np.abs(offs) > 0.10
    flagged = int((outliers & ~is_verified).sum())
    nmad = 1.4826 * np.median(np.abs(offs[is_found] - np.median(offs[is_found])))
    return [
        f"- within 5 %: {int((good < 0.05).sum())} of {n}; beyond 10 %: {int(outliers.sum())}; "
        f"no value: {int((~is_found).sum())}",
        f"- verified: {int(is_verified.sum())} of {n}, of which beyond 10 %: "
        f"{int((outliers & is_verified).sum())}; outliers flagged: {flagged} of "
        f"{int(outliers.sum())}",
        f"- NMAD {100 * nmad:.1f} %, rms {100 * np.sqrt((good**2).mean()):.1f} %, pull rms with "
        f"2 % added {np.sqrt((pulls[is_found] ** 2).mean()):.2f}",
        f"- median time {np.nanmedian([row['seconds'] for row in rows]):.0f} s a lens",
    ]


if __name__ == "__main__":
    main()
