"""`stronglens list`: what there is to choose from, read from the registries.

Each list is one function; a new network or survey shows up by being registered.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]


def print_list(words: Sequence[str]) -> int:
    """Print one list as a table or as JSON.

    Args:
        words: What was typed after `list`.
    """
    parser = argparse.ArgumentParser("stronglens list", description="What there is to choose from.")
    parser.add_argument("kind", choices=sorted(LISTS), help="what to list")
    parser.add_argument("--json", action="store_true", help="print JSON, with everything known")
    given = parser.parse_args(list(words))
    rows = LISTS[given.kind]()
    if given.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        print("\n".join(_table(rows)) if rows else f"no {given.kind} yet")
    return 0


def networks() -> Rows:
    """Return every network with its parameters at the documented input."""
    from stronglens.finders import networks as registry

    rows = []
    for name in registry.names():
        facts = registry.facts(name)
        shape = facts["input_shape"]
        rows.append(
            {
                "name": name,
                "parameters": _n_parameters(name),
                "input": f"{shape.n_bands}x{shape.height}x{shape.width}",
                "summary": facts["summary"],
                "citation": facts.get("citation"),
            }
        )
    return rows


def _n_parameters(name: str) -> int:
    """Count the parameters of a network at its documented input, without making its weights."""
    import torch

    from stronglens.finders import build_network, n_parameters

    with torch.device("meta"):
        return n_parameters(build_network(name))


def surveys() -> Rows:
    """Return every survey with its bands, their numbers and the depth these give."""
    import dataclasses

    from stronglens.surveys import limiting_magnitude, survey
    from stronglens.surveys import surveys as registry

    rows = []
    for name in registry.names():
        entry = survey(name)
        bands = [
            {**dataclasses.asdict(band), "depth_5_sigma": round(limiting_magnitude(band), 2)}
            for band in entry.bands
        ]
        rows.append(
            {
                "name": name,
                "bands": bands,
                "description": entry.description,
                "kind": entry.kind,
                "area": entry.area,
                "citation": entry.citation,
            }
        )
    return rows


def presets() -> Rows:
    """Return every preset of `simulate`."""
    from stronglens.simulation.presets import presets as registry

    return [
        {
            "name": name,
            "n": registry.get(name).n,
            "survey": registry.get(name).survey,
            "summary": registry.get(name).description,
        }
        for name in registry.names()
    ]


def classes() -> Rows:
    """Return every class of scenes with its usual share."""
    from stronglens.simulation.classes import scene_classes

    entries = {name: scene_classes.get(name) for name in scene_classes.names()}
    return [
        {"name": name, "label": e.label, "share": e.share, "description": e.description}
        for name, e in entries.items()
    ]


def profiles() -> Rows:
    """Return every mass profile and light profile with its parameters."""
    from stronglens.lensing.profiles import profiles as masses
    from stronglens.light import lights

    return [
        {"name": name, "kind": kind, "parameters": ", ".join(registry.get(name).parameters)}
        for kind, registry in (("mass", masses), ("light", lights))
        for name in registry.names()
    ]


def layouts() -> Rows:
    """Return every layout of survey files."""
    from stronglens.data.layouts import layouts as registry

    return [
        {
            "name": name,
            "summary": registry.facts(name)["summary"],
            "citation": registry.get(name).source,
        }
        for name in registry.names()
    ]


def finders() -> Rows:
    """Return the trained finders: those shipped with stronglens, and those under runs/."""
    from stronglens.core.weights import load_settings
    from stronglens.finders.finder import finder_facts
    from stronglens.finders.shipped import shipped_finders

    found = [(entry.name, entry.facts, entry.card) for entry in shipped_finders()]
    for file in sorted(Path("runs").glob("*/weights.safetensors")):
        settings = load_settings(file)
        if settings.get("kind") == "finder":
            found.append((str(file.parent), finder_facts(settings), {}))
    return [
        {
            "name": name,
            "network": facts.network,
            "bands": list(facts.bands),
            "pixel_scale": facts.pixel_scale,
            "input": f"{len(facts.bands)}x{facts.height}x{facts.width}",
            "auroc": _figure(card, "auroc"),
            "tpr_at_fpr_0.01": _figure(card, "tpr_at_fpr_0.01"),
            "tested_on": _tested_on(card),
            "for": card.get("validity", ""),
        }
        for name, facts, card in found
    ]


def _figure(card: dict[str, Any], name: str) -> str:
    """Return a figure of a finder's card with its interval; "" where there is none."""
    figure = card.get("metrics", {}).get(name, {})
    if "value" not in figure:
        return ""
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def _tested_on(card: dict[str, Any]) -> str:
    """Return on how many images that was measured."""
    test = card.get("test_data")
    return f"{test['n_lens']:,} lenses, {test['n'] - test['n_lens']:,} others" if test else ""


LISTS: dict[str, Callable[[], Rows]] = {
    "classes": classes,
    "finders": finders,
    "layouts": layouts,
    "networks": networks,
    "presets": presets,
    "profiles": profiles,
    "surveys": surveys,
}


def _table(rows: Rows) -> list[str]:
    """Return rows as aligned columns, without what is too long for a line."""
    columns = [name for name in rows[0] if name not in ("citation", "area")]
    texts = [[_cell(row[name]) for name in columns] for row in rows]
    widths = [max(len(line[i]) for line in [columns, *texts]) for i in range(len(columns))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [columns, *texts]
    ]


def _cell(value: Any) -> str:  # noqa: ANN401 - any cell
    if isinstance(value, list):
        return ",".join(item["name"] if isinstance(item, dict) else str(item) for item in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
