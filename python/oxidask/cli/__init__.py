"""The command ``oxidask``: ``oxidask scheduler`` and ``oxidask worker``.

Each subcommand is a module with ``add_arguments(parser)`` and ``run(arguments)``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

__all__ = ["main"]


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command."""
    from oxidask import __version__
    from oxidask.cli import scheduler, worker

    top = argparse.ArgumentParser(prog="oxidask", description="Parallel arrays, dataframes, bags and tasks.")
    top.add_argument("--version", action="version", version=f"oxidask {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    for name, module in (("scheduler", scheduler), ("worker", worker)):
        doc = (module.__doc__ or "").strip()
        sub = commands.add_parser(name, help=doc.splitlines()[0], description=doc)
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; answers its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``oxidask``; by default those of this process.

    Examples
    --------
    >>> from oxidask.cli import main
    >>> main(["worker", "nowhere", "--nthreads", "1"])
    1
    """
    chosen = parser().parse_args(arguments)
    try:
        chosen.run(chosen)
    except KeyboardInterrupt:
        return 130
    except (OSError, ValueError, RuntimeError) as error:
        print(f"oxidask {chosen.command}: {error}", file=sys.stderr)
        return 1
    return 0
