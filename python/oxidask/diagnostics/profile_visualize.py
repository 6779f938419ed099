"""Pictures of profiles: one page of plain HTML and SVG that needs nothing else."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Sequence
from typing import Any

from oxidask.diagnostics.profile import CacheProfiler, Profiler, ResourceProfiler
from oxidask.utils import format_time, funcname

__all__ = ["visualize"]

#: Size of a plot within the page, in pixels.
WIDTH, HEIGHT, LEFT, BOTTOM = 900, 260, 60, 28

#: Colours of tasks, told apart by people who see colours differently too.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#7f7f7f")


def visualize(
    profilers: Any,
    filename: str = "profile.html",
    show: bool = True,
    save: bool | None = None,
    mode: str | None = None,
    **kwargs: Any,
) -> str:
    """Draws profiles below each other, on one time axis.

    Parameters
    ----------
    profilers : profiler or list of profilers
        :class:`Profiler`, :class:`ResourceProfiler` and :class:`CacheProfiler`.
    filename : str
        Where to write the page.
    show : bool
        Whether to show it in a notebook.
    save : bool, optional
        Whether to write the file; by default, if not in a notebook.
    mode, **kwargs
        Taken for compatibility; pages always carry all they need.

    Returns
    -------
    str
        The page. Unlike Dask's it is no Bokeh figure.

    Examples
    --------
    >>> from oxidask import delayed
    >>> from oxidask.diagnostics import Profiler, visualize
    >>> with Profiler() as profile:
    ...     delayed(abs)(-1).compute()
    1
    >>> page = visualize(profile, save=False, show=False)
    >>> page.count("<rect") >= 1
    True
    """
    del mode, kwargs
    if not isinstance(profilers, (list, tuple)):
        profilers = [profilers]
    for one in profilers:
        if not isinstance(one, (Profiler, ResourceProfiler, CacheProfiler)):
            raise TypeError(f"{one!r} is no profiler\nhint: use Profiler, ResourceProfiler or CacheProfiler")
    begin = min((_start(one) for one in profilers), default=0.0)
    end = max((_end(one) for one in profilers), default=1.0)
    plots = [_plot(one, begin, max(end - begin, 1e-9)) for one in profilers]
    page = (
        "<!doctype html><meta charset='utf-8'><title>profile</title>"
        "<style>body{font:13px sans-serif;margin:16px}svg text{font:11px sans-serif}</style>" + "".join(plots)
    )
    notebook = _in_notebook()
    if save or (save is None and not notebook):
        with open(filename, "w", encoding="utf-8") as file:
            file.write(page)
    if show and notebook:
        from IPython.display import HTML, display

        display(HTML("".join(plots)))
    return page


def _in_notebook() -> bool:
    return "JPY_PARENT_PID" in os.environ or "JPY_SESSION_NAME" in os.environ


def _start(profiler: Any) -> float:
    return getattr(profiler, "start_time", 0.0)  # type: ignore[no-any-return]


def _end(profiler: Any) -> float:
    return getattr(profiler, "end_time", _start(profiler) + 1)  # type: ignore[no-any-return]


def _plot(profiler: Any, begin: float, span: float) -> str:
    def x(time: float) -> float:
        return LEFT + (time - begin) / span * (WIDTH - LEFT - 10)

    if isinstance(profiler, Profiler):
        title, body = "Tasks", _tasks(profiler, x)
    elif isinstance(profiler, ResourceProfiler):
        title, body = "Memory (MB, blue) and processor (%, orange)", _resources(profiler, x)
    else:
        title, body = f"Kept results ({html.escape(str(profiler._metric_name))})", _cache(profiler, x)
    marks = [(LEFT + part / 5 * (WIDTH - LEFT - 10), format_time(span * part / 5)) for part in range(6)]
    ticks = "".join(f"<text x='{at:.0f}' y='{HEIGHT - 8}'>{html.escape(text)}</text>" for at, text in marks)
    return (
        f"<h3>{title}</h3><svg width='{WIDTH}' height='{HEIGHT}' role='img' aria-label='{title}'>"
        f"<path d='M{LEFT} 4V{HEIGHT - BOTTOM}H{WIDTH - 8}' stroke='#999' fill='none'/>{body}{ticks}</svg>"
    )


def _label(task: Any) -> str:
    function = task[0] if isinstance(task, tuple) and task else getattr(task, "func", task)
    return funcname(function)


def _tasks(profiler: Any, x: Any) -> str:
    lanes = _lanes([(task.start_time, task.end_time) for task in profiler.results])
    height = (HEIGHT - BOTTOM - 8) / max(max(lanes, default=0) + 1, 1)
    colours: dict[str, str] = {}
    bars = []
    for task, lane in zip(profiler.results, lanes, strict=True):
        label = _label(task.task)
        colour = colours.setdefault(label, COLOURS[len(colours) % len(COLOURS)])
        text = html.escape(f"{label} · {task.key} · {format_time(task.end_time - task.start_time)}")
        bars.append(
            f"<rect x='{x(task.start_time):.1f}' y='{4 + lane * height:.1f}' rx='1' "
            f"width='{max(x(task.end_time) - x(task.start_time), 1):.1f}' height='{max(height - 1, 1):.1f}' "
            f"fill='{colour}'><title>{text}</title></rect>"
        )
    legend = " ".join(
        f"<tspan fill='{colour}'>■</tspan> {html.escape(label)}" for label, colour in list(colours.items())[:12]
    )
    return "".join(bars) + f"<text x='{LEFT + 4}' y='14'>{legend}</text>"


def _lanes(spans: Sequence[tuple[float, float]]) -> list[int]:
    """The lowest row for each span in which it overlaps no other."""
    ends: list[float] = []
    lanes = [0] * len(spans)
    for index in sorted(range(len(spans)), key=lambda index: spans[index]):
        start, end = spans[index]
        lane = next((lane for lane, until in enumerate(ends) if until <= start), len(ends))
        if lane == len(ends):
            ends.append(end)
        ends[lane] = end
        lanes[index] = lane
    return lanes


def _line(points: Iterable[tuple[float, float]], top: float, colour: str) -> str:
    path = " ".join(
        f"{x:.1f},{HEIGHT - BOTTOM - value / (top or 1) * (HEIGHT - BOTTOM - 12):.1f}" for x, value in points
    )
    return f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='1.5'/>"


def _resources(profiler: Any, x: Any) -> str:
    looks = profiler.results
    memory, cpu = max((look.mem for look in looks), default=1), max((look.cpu for look in looks), default=1)
    return (
        _line(((x(look.time), look.mem) for look in looks), memory, COLOURS[0])
        + _line(((x(look.time), look.cpu) for look in looks), cpu, COLOURS[1])
        + f"<text x='2' y='14'>{memory:.0f} MB</text><text x='2' y='28'>{cpu:.0f} %</text>"
    )


def _cache(profiler: Any, x: Any) -> str:
    changes = sorted(
        [(kept.cache_time, kept.metric) for kept in profiler.results]
        + [(kept.free_time, -kept.metric) for kept in profiler.results]
    )
    points, level = [], 0
    for time, change in changes:
        points.append((x(time), level))
        level += change
        points.append((x(time), level))
    top = max((value for _, value in points), default=1)
    return _line(points, top, COLOURS[2]) + f"<text x='2' y='14'>{top}</text>"
