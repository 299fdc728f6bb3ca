"""Cutana on a tile and a table of targets: rates per second of processor time, as JSON.

Run by `scan_peers.py` in an environment that has Cutana (pip install cutana) and not stronglens.
Arguments: folder of the tile, Parquet table, side of a cutout [pixel], folder for results.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from cutana import Orchestrator, get_default_config
from cutana.direct_cutout import create_cutouts_direct
from loguru import logger

COMPARED, CALL = 200, 10_000


def main() -> None:
    """Cut into memory and onto disk, unscaled float32 of all bands, in one process."""
    folder, table, size, out = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    logger.remove()
    files = sorted(str(path) for path in folder.rglob("*.fits"))
    targets = pd.read_parquet(table)
    sources = pd.DataFrame(
        {"SourceID": targets["object_id"], "RA": targets["ra"], "Dec": targets["dec"]}
    )
    sources["diameter_pixel"] = size
    sources["fits_file_paths"] = str(files)
    config = configured(files, size)
    rates = {"memory": in_memory(sources, config, out), "disk": onto_disk(sources, config, out)}
    (out / "cutana.json").write_text(json.dumps(rates))


def configured(files: list[str], size: int):  # noqa: ANN201 - a type of Cutana's
    """Return its settings: a channel per band, no scaling, one worker of one thread."""
    names = [Path(file).stem for file in files]
    config = get_default_config()
    config.target_resolution = size
    config.normalisation_method = "none"
    config.data_type = "float32"
    config.apply_flux_conversion = False
    config.selected_extensions = [{"name": name, "ext": "PRIMARY"} for name in names]
    config.channel_weights = {name: [float(name == n) for n in names] for name in names}
    config.console_log_level = "ERROR"
    config.max_workers = config.process_threads = 1
    config.loadbalancer.skip_memory_calibration_wait = True
    return config


def in_memory(sources: pd.DataFrame, config, out: Path) -> float:  # noqa: ANN001
    """Rate of its function for arrays."""
    used = time.process_time()
    for start in range(0, len(sources), CALL):
        found = create_cutouts_direct(sources[start : start + CALL], config, max_workers=1)
        if start == 0:
            first = found[0]["cutouts"][:COMPARED].transpose(0, 3, 1, 2).copy()
    used = time.process_time() - used
    np.save(out / "cutana.npy", first)
    return len(sources) / used


def onto_disk(sources: pd.DataFrame, config, out: Path) -> float:  # noqa: ANN001
    """Rate of its orchestrator with a Zarr archive, catalogue and worker process included."""
    config.source_catalogue = str(out / "catalogue.csv")
    config.output_dir = str(out / "cutana")
    sources.to_csv(config.source_catalogue, index=False)
    before, used = resource.getrusage(resource.RUSAGE_CHILDREN), time.process_time()
    result = Orchestrator(config).run()
    if result["status"] != "completed":
        raise SystemExit(f"Cutana: {result}")
    after, used = resource.getrusage(resource.RUSAGE_CHILDREN), time.process_time() - used
    used += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return len(sources) / used


if __name__ == "__main__":
    main()
