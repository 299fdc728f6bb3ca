"""Objects of any input become a dataset, shard by shard, with a row for each object that did not.

Where objects come from is in `stronglens.data.fetch_inputs`; their fit to the dataset's pixels in
`data.dataset_grid`.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from stronglens.core.errors import StronglensError
from stronglens.core.files import read_json, write_json
from stronglens.data.catalog import read_table, write_table
from stronglens.data.dataset_grid import GridOptions, fit_to_grid, plan_grids
from stronglens.data.fetch_inputs import Entry, FetchInput
from stronglens.data.hats import healpix_index
from stronglens.data.label_tables import Label, bare_name
from stronglens.data.layout import PARTS, ImageFacts, Images
from stronglens.data.splits import split_of_groups
from stronglens.data.writer import SHARD, DatasetWriter

OBJECTS = "objects.parquet"
"""Table of all objects asked for, with the row in the dataset or the reason why there is none."""
_GRIDS = "grids.json"
_ORDER = 8
_OK = "ok"


@dataclass(frozen=True)
class FetchOptions:
    """What the user wants of the dataset."""

    grid: GridOptions
    """Bands, size and pixel scale."""
    labels: Mapping[str, Label] = field(default_factory=dict)
    """Labels by bare name of the object."""
    shard: int = SHARD
    """Images per shard."""


@dataclass
class _Shard:
    """Rows that have been gathered and not been written."""

    images: list[list[Images]] = field(default_factory=list)
    truth: list[dict[str, Any]] = field(default_factory=list)
    objects: list[dict[str, Any]] = field(default_factory=list)


class Fetcher:
    """Writes a dataset; called again on the same directory it goes on behind the last whole shard.

    Args:
        root: Directory of the dataset.
        options: What the user wants.
        on_entry: Called with each object as it is done: its name, status and reason.
    """

    def __init__(
        self, root: Path, options: FetchOptions, on_entry: Callable[[str, str, str], None]
    ) -> None:
        self.root, self.options, self.on_entry = root, options, on_entry
        self.grids: tuple[ImageFacts, ...] = self._known_grids()
        self.writer: DatasetWriter | None = None
        self.counts: Counter[str] = Counter()
        self._names: Counter[str] = Counter()

    def fetch(self, inputs: Sequence[FetchInput], provenance: dict[str, Any]) -> Counter[str]:
        """Fetch all objects of the inputs.

        Args:
            inputs: Where they come from; the same and in the same order when called again.
            provenance: What is kept about the making of the dataset.

        Returns:
            Number of objects by status, and of labels under "labelled".
        """
        done = self._done()
        start = self.counts[_OK]
        shard = _Shard()
        for entry in self._entries(inputs, done):
            self._add(shard, entry, start)
            if len(shard.truth) == self.options.shard:
                self._write(shard, start)
                start += len(shard.truth)
                shard = _Shard()
        if shard.truth:
            self._write(shard, start)
        self._finish(shard, provenance)
        return self.counts

    def _entries(self, inputs: Sequence[FetchInput], done: Counter[str]) -> Iterator[Entry]:
        """Objects that have no row yet, in order."""
        left = sum(done.values())
        for source in inputs:
            skip = min(done[source.name], left)
            left -= skip
            # an input of which all was done before is not opened again, unless it was the last
            if skip and left:
                continue
            yield from source.entries(skip)

    def _add(self, shard: _Shard, entry: Entry, start: int) -> None:
        """Put one object into the shard, or mark why it is in none."""
        images: list[Images] = []
        if entry.status == _OK:
            try:
                images = self._images(entry)
            except StronglensError as error:
                is_masked = "masked" in str(error)
                status = "masked" if is_masked else "failed"
                entry = replace(entry, status=status, reason=str(error))
        name = self._unique(entry)
        label = self._label(entry)
        ra, dec = self._place(entry, label)
        row = start + len(shard.truth) if entry.status == _OK else -1
        common = {"object_id": name, "input": entry.input, "ra": ra, "dec": dec}
        source = entry.extra.get("x", math.nan), entry.extra.get("y", math.nan)
        shard.objects.append({**common, "x": source[0], "y": source[1], "status": entry.status,
                              "reason": entry.reason, "row": row})  # fmt: skip
        self.counts[entry.status] += 1
        self.on_entry(name, entry.status, entry.reason)
        if entry.status != _OK:
            return
        group = _group(entry, ra, dec, name)
        extra = {k: v for k, v in entry.extra.items() if k not in ("label", "object_id")}
        has_noise = any(bool(c.ivar.any()) for c in entry.cutouts)
        shard.images.append(images)
        self.counts["labelled"] += int(math.isfinite(label.label))
        shard.truth.append({**common, "label": label.label, "group_id": group,
                            "has_noise_map": has_noise, **extra})  # fmt: skip

    def _images(self, entry: Entry) -> list[Images]:
        grids = self.grids or plan_grids(entry.cutouts, self.options.grid)
        images = [fit_to_grid(entry.cutouts, facts, self.options.grid) for facts in grids]
        if not self.grids:
            # the first object that can be used settles what all images share
            self.grids = grids
            self._keep_grids()
        return images

    def _label(self, entry: Entry) -> Label:
        """Label of an object by its name or that of its file, or what its stack says."""
        for name in (entry.object_id, bare_name(entry.input)):
            if name in self.options.labels:
                return self.options.labels[name]
        return Label(float(entry.extra.get("label", math.nan)))

    def _place(self, entry: Entry, label: Label) -> tuple[float, float]:
        is_known = math.isfinite(label.ra) and math.isfinite(label.dec)
        return (label.ra, label.dec) if is_known else (entry.ra, entry.dec)

    def _unique(self, entry: Entry) -> str:
        """Name of an object, with a number behind it where it comes again."""
        self._names[entry.object_id] += 1
        count = self._names[entry.object_id]
        return entry.object_id if count == 1 else f"{entry.object_id}-{count}"

    def _own_name(self, name: str) -> str:
        """Name of an object without the number that `_unique` put behind it."""
        own, _, number = name.rpartition("-")
        return own if number.isdigit() and self._names[own] == int(number) - 1 else name

    def _write(self, shard: _Shard, start: int) -> None:
        """Write one shard: other grids and objects first, its truth last."""
        writer = self._writer()
        writer.extend(start + len(shard.truth))
        for k, facts in enumerate(self.grids[1:], start=1):
            writer.write_pixels(start, _joined([images[k] for images in shard.images]), facts)
        write_table(self._objects_part(start), _columns(shard.objects))
        first = _joined([images[0] for images in shard.images])
        truth = _columns(shard.truth)
        truth["split"] = split_of_groups(truth["group_id"].tolist())
        writer.write_shard(start, first, truth)
        shard.objects = []

    def _writer(self) -> DatasetWriter:
        if self.writer is None:
            self.writer = DatasetWriter(self.root, self.grids[0], 0, shard=self.options.shard)
        return self.writer

    def _finish(self, last: _Shard, provenance: dict[str, Any]) -> None:
        """Join the tables of all shards; the dataset is complete with its truth."""
        parts = sorted((self.root / PARTS).glob("objects-*.parquet"))
        tables = [read_table(part) for part in parts]
        if last.objects:
            tables.append(_columns(last.objects))
        if tables:
            joined = {n: np.concatenate([t[n] for t in tables]) for n in tables[0]}
            write_table(self.root / OBJECTS, joined)
        if self.counts[_OK]:
            writer = self._writer()
            writer.extend(self.counts[_OK])
            grids = [{"grid": g.grid, **g.to_attributes()} for g in self.grids]
            writer.finish({**provenance, "grids": grids})

    def _done(self) -> Counter[str]:
        """Objects by input that are in whole shards; their counts are taken over."""
        done: Counter[str] = Counter()
        for truth in sorted((self.root / PARTS).glob("truth-*.parquet")):
            start = int(truth.stem.rpartition("-")[2])
            table = read_table(self._objects_part(start))
            self.counts.update(table["status"].tolist())
            labels = read_table(truth)["label"]
            self.counts["labelled"] += int(np.isfinite(labels.astype(np.float64)).sum())
            done.update(table["input"].tolist())
            self._names.update(self._own_name(name) for name in table["object_id"].tolist())
        for part in (self.root / PARTS).glob("objects-*.parquet"):
            start = part.stem.rpartition("-")[2]
            if not (self.root / PARTS / f"truth-{start}.parquet").is_file():
                part.unlink()
        return done

    def _objects_part(self, start: int) -> Path:
        return self.root / PARTS / f"objects-{start:09d}.parquet"

    def _known_grids(self) -> tuple[ImageFacts, ...]:
        """Grids that an earlier call has settled."""
        path = self.root / PARTS / _GRIDS
        if not path.is_file():
            return ()
        known = []
        for values in read_json(path)["grids"]:
            numbers = {k: math.nan if values[k] is None else values[k]
                       for k in ("pixel_scale", "zero_point")}  # fmt: skip
            known.append(ImageFacts(**{**values, **numbers, "bands": tuple(values["bands"])}))
        return tuple(known)

    def _keep_grids(self) -> None:
        (self.root / PARTS).mkdir(parents=True, exist_ok=True)
        grids = []
        for facts in self.grids:
            values = {k: v for k, v in facts.to_attributes().items() if k != "format_version"}
            size = {"height": facts.height, "width": facts.width, "grid": facts.grid}
            grids.append({**values, **size})
        write_json(self.root / PARTS / _GRIDS, {"grids": grids})


def _group(entry: Entry, ra: float, dec: float, name: str) -> str:
    """What a split must not divide: a cell of the sky, else of the tile, else the object."""
    if math.isfinite(ra) and math.isfinite(dec):
        cell = int(healpix_index(np.array([ra]), np.array([dec]), _ORDER)[0])
        return f"healpix{_ORDER}:{cell}"
    return entry.group or name


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Columns of rows; what a row lacks is NaN among numbers and "" among words."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        if any(isinstance(value, str) for value in values):
            columns[name] = np.array(["" if v is None else str(v) for v in values], object)
        elif all(isinstance(value, bool | int) for value in values):
            columns[name] = np.array(values)
        else:
            columns[name] = np.array([math.nan if v is None else float(v) for v in values])
    return columns


def _joined(images: Sequence[Images]) -> Images:
    """Images of one shard; where only some have a PSF, the others get kernels of 0."""
    shape = next((i.psf.shape for i in images if i.psf is not None), None)
    if shape is not None:
        images = [
            i if i.psf is not None else replace(i, psf=np.zeros(shape, np.float32)) for i in images
        ]
    return Images.joined(list(images))
