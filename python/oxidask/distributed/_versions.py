"""Versions of Python and packages, to find members that differ."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from typing import Any

__all__ = ["mismatches", "versions"]

_PACKAGES = ("oxidask", "cloudpickle", "numpy", "pandas", "pyarrow")


def versions(packages: list[str]) -> dict[str, Any]:
    """What this process runs.

    Examples
    --------
    >>> sorted(versions([]))
    ['host', 'packages']
    """
    found: dict[str, str | None] = {"python": ".".join(map(str, sys.version_info))}
    for name in (*_PACKAGES, *packages):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = getattr(sys.modules.get(name), "__version__", None)
    return {
        "host": {"python": platform.python_version(), "OS": platform.system(), "machine": platform.machine()},
        "packages": found,
    }


def mismatches(members: dict[str, Any]) -> list[str]:
    """A line for each package of which members have different versions."""
    everyone = {"client": members["client"], **members["workers"]}
    lines = []
    for name in members["client"]["packages"]:
        seen = {who: member["packages"].get(name) for who, member in everyone.items()}
        if len(set(seen.values())) > 1:
            lines.append(f"{name}: " + ", ".join(f"{who} has {version}" for who, version in seen.items()))
    return lines
