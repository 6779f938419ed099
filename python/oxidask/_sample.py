"""What the threads of this process do right now, for the workers that run Python functions in it."""

from __future__ import annotations

import json
import linecache
import sys
import threading

__all__: list[str] = []

#: What oxidask itself does around a function says nothing about the function.
_OWN = __name__.partition(".")[0]


def stacks() -> str:
    """The stacks of all threads but the calling one, as JSON.

    Returns
    -------
    str
        A list with one object a thread: ``thread``, its number; ``name``; and ``frames``, the outermost first, each
        a list of file, line number, function and the text of the line. Frames of oxidask itself are left out, and so
        are threads that run nothing else.

    Examples
    --------
    >>> import json
    >>> from oxidask._sample import stacks
    >>> isinstance(json.loads(stacks()), list)
    True
    """
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    own = threading.get_ident()
    found = []
    for ident, frame in sys._current_frames().items():
        frames = []
        current = frame
        while ident != own and current is not None:
            code = current.f_code
            module = current.f_globals.get("__name__", "")
            # A program given on the command line, which is how children start, has no file.
            if module.partition(".")[0] != _OWN and code.co_filename != "<string>":
                text = linecache.getline(code.co_filename, current.f_lineno).strip()
                frames.append([code.co_filename, current.f_lineno, code.co_name, text])
            current = current.f_back
        if frames:
            found.append({"thread": ident, "name": names.get(ident, ""), "frames": frames[::-1]})
    return json.dumps(found)
