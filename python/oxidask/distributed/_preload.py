"""Modules that are imported before a member of a cluster begins its work.

Each may have a function ``dask_setup``, which gets what is set up, and a function
``dask_teardown``, which gets it again at the end.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
import types
from typing import Any

from oxidask import config

__all__ = ["Preloaded", "preload"]

_logger = logging.getLogger("oxidask.distributed.preloading")


def preload(names: list[str], arguments: list[Any], target: Any = None) -> list[types.ModuleType]:
    """Imports modules, files or texts of Python, and has each set the target up.

    Parameters
    ----------
    names : list of str
        Names of modules, paths of files, or programs (of more than one line).
    arguments : list of str
        The command line of ``dask_setup``s that parse one.
    target : object, optional
        What they set up.

    Returns
    -------
    list of module
    """
    modules = [_imported(name) for name in names]
    for module in modules:
        _set_up(module, arguments, target)
    return modules


def _imported(name: str) -> types.ModuleType:
    if "\n" in name:
        module = types.ModuleType("preloaded")
        exec(compile(name, "<preload>", "exec"), module.__dict__)
        return module
    if not name.endswith(".py") and os.sep not in name:
        return importlib.import_module(name)
    stem = os.path.splitext(os.path.basename(name))[0]
    spec = importlib.util.spec_from_file_location(stem, name)
    if spec is None or spec.loader is None:
        raise ValueError(f"the file to preload, {name}, is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[stem] = module
    spec.loader.exec_module(module)
    return module


def _set_up(module: types.ModuleType, arguments: list[Any], target: Any) -> None:
    setup = getattr(module, "dask_setup", None)
    if setup is None:
        return
    if getattr(setup, "main", None) is None:
        setup(target)
        return
    # A command of click: it parses the preload's own arguments.
    context = setup.make_context("dask_setup", list(arguments), allow_extra_args=False)
    setup.callback(target, *context.args, **context.params)


class Preloaded:
    """What the settings ``<prefix>.preload`` and ``.preload-argv`` name for a target.

    An error in one of them is logged, and the target goes on without it.

    Parameters
    ----------
    prefix : str
        Of the settings, such as ``"distributed.client"``.
    target : object
        What is set up.
    """

    def __init__(self, prefix: str, target: Any) -> None:
        names = config.get(f"{prefix}.preload", None) or []
        arguments = config.get(f"{prefix}.preload-argv", None) or []
        names = [names] if isinstance(names, str) else list(names)
        # One list for all, or one for each.
        is_nested = bool(arguments) and not isinstance(arguments[0], str)
        self._modules: list[types.ModuleType] = []
        for number, name in enumerate(names):
            own = (arguments[number] if number < len(arguments) else []) if is_nested else arguments
            try:
                module = _imported(name)
                self._modules.append(module)
                _set_up(module, list(own), target)
            except Exception:
                _logger.exception("What is to be preloaded failed: %s", name)

    def tear_down(self, target: Any) -> None:
        """Has each module take back what it set up; the last one first."""
        while self._modules:
            module = self._modules.pop()
            teardown = getattr(module, "dask_teardown", None)
            if teardown is None:
                continue
            try:
                teardown(target)
            except Exception:
                _logger.exception("What was preloaded could not be taken back: %s", module.__name__)
