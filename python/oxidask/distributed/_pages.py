"""Pages of HTML that need nothing but themselves: tables, and the lanes of tasks."""

from __future__ import annotations

import html
import zlib
from collections.abc import Iterable
from typing import Any

__all__ = ["Html", "colour_of", "lanes", "page", "table"]

_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1200px; padding: 0 1em; color: #222 }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
table { border-collapse: collapse } th { font-weight: 600; border-bottom: 1px solid #bbb }
td, th { padding: 2px 14px 2px 0; text-align: right; font-variant-numeric: tabular-nums }
td:first-child, th:first-child { text-align: left }
td { white-space: nowrap }
.bar { display: flex; height: 14px; width: 150px; background: #eee }
.bar i { display: block; height: 14px } .key i { display: inline-block; width: 10px; height: 10px; margin: 0 4px 0 14px }
figure { margin: 0; overflow-x: auto } .note { color: #666 }
"""


class Html(str):
    """A text that is HTML already."""


def page(title: str, body: str) -> str:
    """A whole page."""
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{html.escape(title)}</title>"
        f"<style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>{body}</body></html>"
    )


def table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table; cells are :class:`Html`, or anything else as its text."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    lines = "".join("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{lines}</table>"


def _cell(cell: Any) -> str:
    return cell if isinstance(cell, Html) else html.escape(str(cell))


def colour_of(name: str) -> str:
    """A colour that a name always has."""
    return f"hsl({zlib.crc32(name.encode()) % 360},55%,65%)"


def lanes(records: list[dict[str, Any]], width: int = 1060, height: int = 14) -> str:
    """A line for each thread of each worker, on which its tasks are boxes."""
    if not records:
        return "<p>no tasks</p>"
    at = {lane: row for row, lane in enumerate(sorted({(record["worker"], record["thread"]) for record in records}))}
    begin = min(record["startstops"][0]["start"] for record in records)
    end = max(record["startstops"][0]["stop"] for record in records)
    scale = width / max(end - begin, 1e-9)
    boxes = []
    for record in records:
        span = record["startstops"][0]
        colour = "#000" if record["status"] == "error" else colour_of(record["name"])
        seconds = span["stop"] - span["start"]
        boxes.append(
            f"<rect x='{(span['start'] - begin) * scale:.2f}' y='{at[record['worker'], record['thread']] * height}' "
            f"width='{max(seconds * scale, 0.5):.2f}' height='{height - 2}' fill='{colour}'>"
            f"<title>{html.escape(record['name'])}: {seconds:.6f} s</title></rect>"
        )
    return (
        f"<svg width='{width}' height='{len(at) * height}' role='img' aria-label='tasks over {end - begin:.3f} s'>"
        f"{''.join(boxes)}</svg>"
    )
