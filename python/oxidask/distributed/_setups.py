"""Plugins and uploaded files, in every process that runs tasks of a worker.

The scheduler keeps what clients registered, for workers that come later. A
worker has it in a file of its folder, which only grows: one record for each
thing that was set up or taken down. Whoever registers something adds a record on
every worker; each process takes in the records that it has not seen before it
runs its next tasks, so it makes no difference when a process was started.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Iterator
from typing import Any

from oxidask.distributed._run import finished

__all__ = ["Record", "catch_up"]

_logger = logging.getLogger("oxidask.distributed.worker")

#: What is set up in this process: by the path of the worker's file and the name.
_plugins: dict[tuple[str, str], Any] = {}
#: Which record set it up, and what its setup answered.
_answers: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
#: How much of each file this process has taken in.
_seen: dict[str, int] = {}
# A plugin may call what runs tasks in turn, on the same thread.
_lock = threading.RLock()
_LENGTH = 8


class Record:
    """Something to set up or to take down. Called on a worker, it does so.

    Parameters
    ----------
    name : str
        The plugin's name; another plugin of that name is taken down first.
    plugin : object or None
        What to set up; ``None`` takes the named one down.
    idempotent : bool
        Whether a plugin of that name that is there already stays.
    """

    def __init__(self, name: str, plugin: Any, idempotent: bool = False) -> None:
        self.name, self.plugin, self.idempotent = name, plugin, idempotent
        self.time = time.time()
        self.id = uuid.uuid4().hex

    def __call__(self) -> dict[str, Any]:
        from oxidask.distributed._context import get_worker

        worker = get_worker()
        path = worker._setups
        catch_up(path)
        with _lock, _locked(path) as file:
            _take_in(path, file)
            known, answer = _answers.get((path, self.name), ("", {}))
            if known == self.id:
                # The first process of a worker has it from the scheduler already.
                return answer
            # As it is before it is set up: what it holds then may not travel.
            data = _pickled(self)
            answer = self.apply(path, worker)
            if answer["status"] != "repeat":
                _append(file, data)
            _seen[path] = file.tell()
        return answer

    def apply(self, path: str, worker: Any) -> dict[str, Any]:
        """Does it in this process."""
        old = _plugins.get((path, self.name))
        if old is not None and self.idempotent:
            return {"status": "repeat"}
        if old is not None:
            _plugins.pop((path, self.name))
            self._call(old, "teardown", worker)
        if self.plugin is None:
            return {"status": "OK"}
        _plugins[path, self.name] = self.plugin
        try:
            answer = self._call(self.plugin, "setup", worker)
        except BaseException:
            _plugins.pop((path, self.name))
            raise
        answer = answer if isinstance(answer, dict) and "status" in answer else {"status": "OK"}
        _answers[path, self.name] = self.id, answer
        return answer

    def _call(self, plugin: Any, method: str, worker: Any) -> Any:
        call = getattr(plugin, method, None)
        try:
            return None if call is None else finished(call(worker))
        except Exception:
            _logger.exception("The plugin %s failed to %s", self.name, method)
            raise


def catch_up(path: Any) -> int:
    """Takes in what was registered on this worker since the last time.

    Called by the engine before it runs tasks. Answers how much of the file it has
    taken in. What fails is reported, and keeps neither the rest nor the tasks.
    """
    path = str(path)
    with _lock:
        is_new = not os.path.exists(path)
        with _locked(path) as file:
            if is_new and os.fstat(file.fileno()).st_size == 0:
                for record in _of_scheduler():
                    _append(file, _pickled(record))
                file.seek(0)
            _take_in(path, file)
        return _seen.get(path, 0)


@contextlib.contextmanager
def _locked(path: str) -> Iterator[Any]:
    """The worker's file, while no other process of the worker has it."""
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _take_in(path: str, file: Any) -> None:
    """Applies the records that are new to this process; the file ends up at its end."""
    import pickle

    from oxidask.distributed._context import get_worker

    start = _seen.get(path, 0)
    file.seek(start)
    while head := file.read(_LENGTH):
        data = file.read(int.from_bytes(head, "little"))
        # Noted first: a plugin whose setup runs tasks must not be set up again by them.
        _seen[path] = start = start + _LENGTH + len(data)
        try:
            pickle.loads(data).apply(path, get_worker())
        except Exception:
            print("a plugin could not be set up in this process:", file=sys.stderr)
            traceback.print_exc()
    _seen[path] = start


def _pickled(record: Record) -> bytes:
    import cloudpickle

    return bytes(cloudpickle.dumps(record))


def _append(file: Any, data: bytes) -> None:
    file.seek(0, os.SEEK_END)
    file.write(len(data).to_bytes(_LENGTH, "little") + data)
    file.flush()


def _of_scheduler() -> list[Record]:
    """What was registered before this worker came, the oldest first."""
    import pickle

    from oxidask._oxidask import Ask
    from oxidask.distributed._client import Client
    from oxidask.distributed._context import membership
    from oxidask.errors import ClosedError, KilledWorker

    worker = membership()
    if worker is None:
        return []
    found = []
    # A connection for this question alone: most processes need no other. Where
    # nobody answers, the cluster ends.
    with (
        contextlib.suppress(OSError, TimeoutError, ClosedError, KilledWorker),
        Client(worker["scheduler"], name=f"setups-{worker['name']}", set_as_default=False, timeout=5) as client,
    ):
        for name in client._shared.ask(Ask.list("plugin"))[0]:
            answer = client._shared.ask(Ask.get("plugin", name, False))
            if answer is not None and answer[0] is not None:
                found.append(pickle.loads(answer[0]))
    return sorted(found, key=lambda record: float(record.time))
