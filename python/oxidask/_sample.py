"""Answers questions about what Python does in this process, for the workers that run functions in it."""

from __future__ import annotations

import json
import linecache
import sys
import threading
from typing import Any

from oxidask import _profile
from oxidask._logs import lines

__all__: list[str] = []


def stacks(worker: str | None = None) -> list[dict[str, Any]]:
    """The stacks of the threads that run tasks.

    Parameters
    ----------
    worker : str, optional
        The address of a worker: only its tasks. Otherwise all threads of this
        process but the calling one.

    Returns
    -------
    list of dict
        For each thread ``thread``, its number; ``name``; and ``frames``, the outermost first, each a
        list of file, line number, function and the text of the line. Frames of oxidask itself
        are left out, and so are threads that run nothing else.

    Examples
    --------
    >>> from oxidask._sample import stacks
    >>> isinstance(stacks(), list)
    True
    """
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    own = threading.get_ident()
    found = []
    for thread, frame in sys._current_frames().items():
        if thread == own or (worker is not None and _profile.worker_of(thread) != worker):
            continue
        frames = [
            [code.co_filename, line, code.co_name, linecache.getline(code.co_filename, line).strip()]
            for frame in _profile.user_frames(frame)
            for code in (frame.f_code,)
            for line in (frame.f_lineno or code.co_firstlineno,)
        ]
        if frames:
            found.append({"thread": thread, "name": names.get(thread, ""), "frames": frames})
    return found


#: What may be asked: who answers.
_ANSWERS = {"stacks": stacks, "profile": _profile.profile, "logs": lines}


def answer(question: str) -> str:
    """The answer to a question, both as JSON.

    Parameters
    ----------
    question : str
        A name of a function, ``"stacks"``, ``"profile"`` or ``"logs"``, and its arguments: ``["stacks", {}]``.

    Examples
    --------
    >>> from oxidask._sample import answer
    >>> answer('["profile", {"worker": "nowhere"}]')[:22]
    '{"identifier": "root",'
    """
    about, arguments = json.loads(question)
    return json.dumps(_ANSWERS[about](**arguments))
