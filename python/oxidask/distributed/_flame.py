"""Flame charts of profiles: what was called is above its caller, as wide as its share of the samples."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any

from oxidask.distributed._pages import colour_of

__all__ = ["flame_chart"]

_HEIGHT = 18
#: Calls with a smaller share of the samples are left out.
_LEAST = 0.001
#: Width of a letter in pixels, about.
_LETTER = 6.5

#: Where the callers come first and the chart grows downwards, no line of the page has to be known before.
Box = tuple[int, float, float, dict[str, Any]]


def flame_chart(profile: dict[str, Any], width: int = 1060) -> str:
    """A profile as SVG; of each call the line of code and its share are shown where the mouse is.

    Parameters
    ----------
    profile : dict
        See :meth:`Client.profile`.
    width : int
        In pixels.

    Examples
    --------
    >>> from oxidask._profile import empty
    >>> flame_chart(empty())
    '<p>no samples</p>'
    """
    total = profile["count"]
    if not total:
        return "<p>no samples</p>"
    boxes = list(_boxes(profile, total))
    depth = 1 + max(level for level, *_ in boxes)
    drawn = "".join(_drawn(box, total, width) for box in boxes)
    label = f"{total} samples of what tasks called"
    return (
        f"<figure><svg width='{width}' height='{depth * _HEIGHT}' role='img' aria-label='{label}' "
        f"font-family='monospace' font-size='11'>{drawn}</svg></figure>"
    )


def _boxes(profile: dict[str, Any], total: int) -> Iterator[Box]:
    """The calls: level, begin and width as shares of the whole."""
    stack: list[Box] = [(0, 0.0, 1.0, profile)]
    while stack:
        level, begin, share, call = stack.pop()
        yield level, begin, share, call
        for child in sorted(call["children"].values(), key=lambda child: (-child["count"], child["identifier"])):
            part = child["count"] / total
            if part >= _LEAST:
                stack.append((level + 1, begin, part, child))
                begin += part


def _drawn(box: Box, total: int, width: int) -> str:
    level, begin, share, call = box
    about = call["description"]
    name = about["name"] or "all tasks"
    colour = "#ddd" if level == 0 else colour_of(about["filename"])
    place = f"{about['filename']}:{about['line_number']}" if about["filename"] else ""
    title = "\n".join(filter(None, [f"{name}: {100 * call['count'] / total:.1f} %", place, about["line"]]))
    room = int((share * width - 4) / _LETTER)
    shown = name if len(name) <= room else (name[: room - 1] + "…" if room > 3 else "")
    x, y = begin * width, level * _HEIGHT
    text = f"<text x='{x + 3:.1f}' y='{y + 12}'>{html.escape(shown)}</text>" if shown else ""
    return (
        f"<g><title>{html.escape(title)}</title><rect x='{x:.1f}' y='{y}' width='{max(share * width - 0.5, 0.5):.1f}' "
        f"height='{_HEIGHT - 1}' fill='{colour}'/>{text}</g>"
    )
