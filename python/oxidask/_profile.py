"""What the tasks of this process did, sampled over time, for the workers that run Python functions in it.

A profile is a tree of the calls that were seen: of each call how often it was, and what it
was seen to call. The newest are kept second by second, older ones in ever longer stretches, so
that a worker that runs for weeks keeps as much as one that runs for an hour.
"""

from __future__ import annotations

import linecache
import os
import sys
import threading
import time
from types import FrameType
from typing import Any

__all__: list[str] = []

#: What oxidask itself does around a function says nothing about the function.
_OWN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")

#: Most stretches of time that are kept apart.
_STRETCHES = 1024

#: Calls within calls beyond this depth are counted with the last that is told.
_DEPTH = 128

#: The worker that each thread runs tasks of, by the thread's number.
_workers: dict[int, str] = {}

#: Workers whose tasks are looked at. In one process there may be others, of clusters that do not want it.
_profiled: set[str] = set()

_lock = threading.Lock()

#: By worker, stretches of time: begin, end, and what was seen in between.
_seen: dict[str, list[tuple[float, float, dict[str, Any]]]] = {}

_cycle = 1.0


def empty() -> dict[str, Any]:
    """A profile in which nothing was seen."""
    return {
        "identifier": "root",
        "description": {"filename": "", "name": "", "line_number": 0, "line": ""},
        "count": 0,
        "children": {},
    }


def enter(address: str) -> float | None:
    """The calling thread runs tasks of a worker; answers the seconds between looks, or nothing if there are none."""
    from oxidask import _logs, config
    from oxidask.utils import parse_timedelta

    global _cycle
    _workers[threading.get_ident()] = address
    _logs.keep()
    if not config.get("distributed.worker.profile.enabled"):
        return None
    _profiled.add(address)
    _cycle = float(parse_timedelta(config.get("distributed.worker.profile.cycle"), default="ms"))
    return max(0.001, float(parse_timedelta(config.get("distributed.worker.profile.interval"), default="ms")))


def worker_of(thread: int) -> str | None:
    """The worker that a thread runs tasks of."""
    return _workers.get(thread)


def user_frames(frame: FrameType | None) -> list[FrameType]:
    """The frames of a stack that are not oxidask's own, the outermost first."""
    frames = []
    while frame is not None:
        code = frame.f_code
        # A program given on the command line, which is how children start, has no file.
        is_start = code.co_filename == "<string>" and code.co_name == "<module>"
        if not is_start and not code.co_filename.startswith(_OWN):
            frames.append(frame)
        frame = frame.f_back
    return frames[::-1]


def look() -> bool:
    """Adds what the tasks do right now; whether there was anything."""
    found = False
    now = time.time()
    for thread, frame in sys._current_frames().items():
        worker = _workers.get(thread)
        if worker not in _profiled:
            continue
        frames = user_frames(frame)
        if frames:
            found = True
            with _lock:
                _add(_current(worker, now), frames)
    return found


def _current(worker: str, now: float) -> dict[str, Any]:
    """The profile of the stretch that is not over."""
    stretches = _seen.setdefault(worker, [])
    if stretches and now < stretches[-1][1]:
        return stretches[-1][2]
    if len(stretches) >= _STRETCHES:
        # Older stretches become twice as long, each of two one.
        half = len(stretches) // 2
        old = stretches[:half]
        pairs = zip(old[::2], old[1::2], strict=True)
        stretches[:half] = [(one[0], other[1], merge(one[2], other[2])) for one, other in pairs]
    stretches.append((now, now + _cycle, empty()))
    return stretches[-1][2]


def _add(profile: dict[str, Any], frames: list[FrameType]) -> None:
    profile["count"] += 1
    for frame in frames[:_DEPTH]:
        code = frame.f_code
        identifier = f"{code.co_name};{code.co_filename};{code.co_firstlineno}"
        call = profile["children"].get(identifier)
        if call is None:
            # A frame that is about to begin or to end has no line.
            number = frame.f_lineno or code.co_firstlineno
            line = linecache.getline(code.co_filename, number, frame.f_globals).strip()
            call = profile["children"][identifier] = {
                "identifier": identifier,
                "description": {
                    "filename": code.co_filename,
                    "name": code.co_name,
                    "line_number": number,
                    "line": line,
                },
                "count": 0,
                "children": {},
            }
        call["count"] += 1
        profile = call


def merge(*profiles: dict[str, Any]) -> dict[str, Any]:
    """What was seen in all of these profiles together.

    Examples
    --------
    >>> from oxidask._profile import empty, merge
    >>> merge(empty(), {**empty(), "count": 2})["count"]
    2
    """
    merged = empty()
    for profile in profiles:
        # The depth of a profile is bounded, and so is that of this.
        _merge_into(merged, profile)
    return merged


def _merge_into(into: dict[str, Any], other: dict[str, Any]) -> None:
    into["count"] += other["count"]
    for identifier, call in other["children"].items():
        mine = into["children"].get(identifier)
        if mine is None:
            mine = into["children"][identifier] = {**call, "count": 0, "children": {}}
        _merge_into(mine, call)


def profile(worker: str, start: float | None = None, stop: float | None = None) -> dict[str, Any]:
    """What the tasks of a worker did between two moments, in seconds since the epoch."""
    with _lock:
        chosen = [
            seen
            for begin, end, seen in _seen.get(worker, [])
            if (start is None or end > start) and (stop is None or begin < stop)
        ]
        return merge(*chosen)
