"""Writes pictures of graphs to files and notebooks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from oxidask import _oxidask

__all__ = ["draw"]

_FORMATS = ("png", "svg")


def draw(
    args: tuple[Any, ...],
    filename: str | None,
    format: str | None,
    traverse: bool,
    optimize_graph: bool,
    *,
    rankdir: str = "BT",
    collapse_outputs: bool = False,
    verbose: bool = False,
    **kwargs: Any,
) -> Any:
    """Draws the graph of all collections within ``args``; see ``visualize``."""
    # Options of Graphviz and of other engines have nothing to act on here.
    del kwargs
    path = None if filename is None else Path(filename)
    if path is not None and path.suffix[1:].lower() in _FORMATS:
        format = format or path.suffix[1:].lower()
        path = path.with_suffix("")
    format = (format or "png").lower()
    if format not in _FORMATS:
        raise ValueError(f"format is {format!r}, but must be 'png' or 'svg'")
    picture = _oxidask.draw_graph(args, traverse, optimize_graph, format, rankdir, collapse_outputs, verbose)
    if path is not None:
        path.with_name(f"{path.name}.{format}").write_bytes(picture)
    return _shown(picture, format)


def _shown(picture: bytes, format: str) -> Any:
    """What a notebook shows; outside of one the SVG's text or the PNG's bytes."""
    if "IPython" in sys.modules:
        from IPython.display import SVG, Image

        return SVG(picture.decode()) if format == "svg" else Image(picture)
    return picture.decode() if format == "svg" else picture
