"""References for exactly what was used: by a run, by the runs it read, and so on down.

The references of the verbs are in `references`; networks and surveys state their own.
"""

import argparse
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from stronglens.cli.references import OF_VERB, STRONGLENS
from stronglens.cli.runs import load_task
from stronglens.core.task import TaskResult


def cite(*runs: TaskResult | Path | str) -> str:
    """Return BibTeX for what runs have used, stronglens first.

    Args:
        *runs: Results or run directories; the datasets and finders they read are followed.

    Returns:
        BibTeX entries, each once, separated by empty lines.

    Raises:
        MissingDataError: One of them is no run directory.
    """
    entries = [STRONGLENS % metadata.version("stronglens")]
    seen: set[Path] = set()
    for run in runs:
        folder = run.path if isinstance(run, TaskResult) else Path(run)
        entries += _entries_of(folder, seen)
    return "\n\n".join(dict.fromkeys(entries))


def print_citations(words: Sequence[str]) -> int:
    """Print the references of run directories.

    Args:
        words: What was typed after `cite`.
    """
    parser = argparse.ArgumentParser("stronglens cite", description="BibTeX for what was used.")
    parser.add_argument("runs", type=Path, nargs="*", help="run directories, such as runs/finder")
    print(cite(*parser.parse_args(list(words)).runs))
    return 0


def _entries_of(folder: Path, seen: set[Path]) -> list[str]:
    """Return the entries of one run, of the runs it read and of those inside it."""
    if folder.resolve() in seen:
        return []
    seen.add(folder.resolve())
    task = load_task(folder)
    entries = [*OF_VERB.get(task.verb, ()), *_entries_of_names(task.to_dict())]
    below = [file.parent for file in sorted(folder.glob("*/settings.toml"))]
    for path in [*task.inputs().values(), *below]:
        if (path / "settings.toml").is_file():
            entries += _entries_of(path, seen)
    return entries


def _entries_of_names(settings: dict[str, Any]) -> list[str]:
    """Return the references of the network and the survey that the settings name."""
    entries = []
    if "network" in settings:
        from stronglens.finders import networks

        citation = networks.facts(settings["network"]).get("citation")
        entries += [citation] if citation else []
    if "survey" in settings:
        from stronglens.surveys import survey

        name, text = settings["survey"], survey(settings["survey"]).citation
        entries.append(f"@misc{{{name},\n  title = {{{name}}},\n  note = {{{text}}}\n}}")
    return entries
