"""`stronglens VERB ...`: finds the verb, runs its task, and turns errors into one line.

What a verb does is its task's business; nothing heavy is imported before a verb is called.
"""

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from stronglens.cli.verbs import GROUPS, Verb, verb_of
from stronglens.core.errors import StronglensError

if TYPE_CHECKING:
    from stronglens.cli.flags import RunOptions
    from stronglens.core.task import AbstractTask

WRONG_USE, INTERRUPTED = 2, 130
"""Exit statuses besides 0 and those of results: wrong input, stopped from the keyboard."""
BOLD, DIM = "1", "2"
"""Styles of a terminal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The words after `stronglens`; by default those that were typed.

    Returns:
        The exit status.
    """
    # waiting threads that spin make torch many times slower wherever a core is busy
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    words = list(sys.argv[1:] if arguments is None else arguments)
    first = words[0] if words else "--help"
    try:
        return _call(first, words[1:])
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else WRONG_USE
    except BrokenPipeError:
        # the reader, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (StronglensError, OSError) as error:
        print(f"stronglens {first}: {' '.join(str(error).split())}", file=sys.stderr)
        # an error after part of the work says itself how much was done
        return getattr(error, "exit_code", WRONG_USE)
    except KeyboardInterrupt:
        _say_how_to_go_on(words)
        return INTERRUPTED


_VERB_WIDTH = 10  # a longer verb pushes its summary aside


def help_text() -> str:
    """Return what `stronglens --help` prints: every verb with a command that works."""
    lines = [
        "stronglens: strong gravitational lenses in survey images: simulate, find, test",
        "",
        "usage: stronglens VERB [settings]",
        "",
    ]
    for title, verbs in GROUPS.items():
        lines.append(title)
        for name, verb in verbs.items():
            lines.append(f"  {_styled(f'{name:<{_VERB_WIDTH}}', BOLD)}  {verb.summary}")
            lines.append(f"{'':<{_VERB_WIDTH + 4}}{_styled(verb.example, DIM)}")
        lines.append("")
    lines += [
        "stronglens VERB --help lists its settings with their units; stronglens --version",
        "Every task takes --config FILE.toml, --out DIR, --resume and --print-config too.",
    ]
    return "\n".join(lines)


def _styled(text: str, style: str) -> str:
    """Return text in a style if a terminal shows it."""
    is_plain = "NO_COLOR" in os.environ or not sys.stdout.isatty()
    return text if is_plain else f"\033[{style}m{text}\033[0m"


def _call(name: str, words: Sequence[str]) -> int:
    """Run one verb, or print what is asked for instead of one."""
    if name in _TEXTS:
        print(_TEXTS[name]())
        return 0
    verb = verb_of(name)
    if name in _OWN_VERBS:
        return _OWN_VERBS[name](words)
    from stronglens.cli.flags import parse_flags
    from stronglens.cli.verbs import task_of

    task_type = task_of(name)
    task, options = parse_flags(task_type, words, _description(task_type, verb))
    if options.print_config:
        return _print_config(task)
    return _run(task, options)


def _version_text() -> str:
    return f"stronglens {metadata.version('stronglens')}"


def _list(words: Sequence[str]) -> int:
    from stronglens.cli.listing import print_list

    return print_list(words)


def _cite(words: Sequence[str]) -> int:
    from stronglens.cli.citations import print_citations

    return print_citations(words)


def _rerun(words: Sequence[str]) -> int:
    from stronglens.cli.flags import RunOptions
    from stronglens.cli.runs import parse_rerun

    task, out = parse_rerun(words)
    return _run(task, RunOptions(out=out))


_TEXTS: dict[str, Callable[[], str]] = {
    "--help": help_text,
    "-h": help_text,
    "help": help_text,
    "--version": _version_text,
    "-V": _version_text,
}
_OWN_VERBS: dict[str, Callable[[Sequence[str]], int]] = {
    "list": _list,
    "cite": _cite,
    "rerun": _rerun,
}


def _description(task_type: type["AbstractTask"], verb: Verb) -> str:
    text = (task_type.__doc__ or "").strip()
    return f"{text}\n\nExample: {verb.example}"


def _print_config(task: "AbstractTask") -> int:
    """Print the settings as `--config` reads them."""
    print(f'task = "{task.verb}"\n{task.resolved().to_toml()}', end="")
    return 0


def _run(task: "AbstractTask", options: "RunOptions") -> int:
    """Run a task and print its result."""
    from stronglens.cli.results import result_lines

    result = task.run(options.out, resume=options.resume)
    print("\n".join(result_lines(result)))
    # a result over many inputs says itself whether some or all of them failed
    return getattr(result, "exit_code", 0)


def _say_how_to_go_on(words: Sequence[str]) -> None:
    """Say what brings an interrupted run back."""
    command = shlex.join(["stronglens", *words])
    has_directory = any(word.split("=")[0] == "--out" for word in words)
    where = "" if has_directory else f" --out {_last_run(words[0])}"
    print(
        f"\nstronglens {words[0]}: interrupted. To go on where it stopped: {command}{where}",
        file=sys.stderr,
    )


def _last_run(verb: str) -> Path:
    """Return the newest directory that a verb made without --out."""
    return max(Path("runs").glob(f"*-{verb}"), default=Path("runs"))


if __name__ == "__main__":
    sys.exit(main())
