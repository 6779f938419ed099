"""The program of a child process, in which user code of ``processes`` runs."""

from __future__ import annotations

import os
import sys

__all__: list[str] = []

#: Carries the parent's module search path.
_PATH_VARIABLE = "OXIDASK_INTERNAL_SYS_PATH"


#: Carries the function that each child calls first.
_INITIALIZER_VARIABLE = "OXIDASK_INTERNAL_INITIALIZER"


def command() -> tuple[str, list[str], list[tuple[str, str]]]:
    """Program, arguments and variables that start a child like this process."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    # Options such as -O or -X change what code means, so the child has them too.
    import subprocess

    options = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    variables = [(_PATH_VARIABLE, path)]
    from oxidask import config

    initializer = config.get("multiprocessing.initializer", None)
    if initializer is not None:
        import base64

        import cloudpickle

        variables.append((_INITIALIZER_VARIABLE, base64.b64encode(cloudpickle.dumps(initializer)).decode()))
    return sys.executable, [*options, "-c", _PROGRAM], variables


_PROGRAM = (
    "import os, sys; "
    f"sys.path[:] = os.environ.pop({_PATH_VARIABLE!r}).split(os.pathsep); "
    "from oxidask._child import main; main()"
)


def main() -> None:
    """Runs tasks until the parent closes the connection."""
    import signal

    from oxidask import _oxidask

    # Ctrl-C reaches the whole foreground group; the parent ends its children.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    initializer = os.environ.pop(_INITIALIZER_VARIABLE, None)
    if initializer is not None:
        import base64
        import pickle

        pickle.loads(base64.b64decode(initializer))()
    preloads = os.environ.pop("OXIDASK_INTERNAL_PRELOAD", None)
    if preloads is not None:
        import json

        from oxidask.cli._common import preload
        from oxidask.distributed._context import membership
        from oxidask.distributed._worker import Worker

        worker = membership()
        preload(*json.loads(preloads), None if worker is None else Worker._of(worker))
    _oxidask.serve_child()
