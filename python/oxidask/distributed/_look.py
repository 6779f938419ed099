"""What a client sees when it looks into its workers: stacks, profiles, logs, and where time went."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from oxidask import _profile
from oxidask.distributed import _context
from oxidask.distributed._async import sync_or_async
from oxidask.distributed._flame import flame_chart
from oxidask.distributed._members import names_of
from oxidask.distributed._pages import page

__all__ = ["Look"]

#: Longest wait for workers that are looked into, in seconds: one that does not answer has nothing to show.
_PATIENCE = 10.0


class Look:
    """The part of :class:`Client` that looks into workers, past the scheduler."""

    _questions: Any
    _asynchronous: bool

    def _chosen(self, workers: Any) -> list[dict[str, Any]]:
        """The workers that are meant: all by default."""
        chosen = None if workers is None else set(names_of(workers))
        return [
            worker
            for worker in self._questions.info()["workers"]
            if chosen is None or worker["address"] in chosen or worker["name"] in chosen
        ]

    def _answers(self, workers: list[dict[str, Any]], about: str, **arguments: Any) -> Iterable[tuple[Any, Any, Any]]:
        """What executors of workers answer to a question of ``oxidask._sample``: worker, task, answer."""
        for worker in workers:
            # Workers on threads of one process share it, so each is asked about itself.
            text = json.dumps([about, {**arguments, "worker": worker["address"]}])
            for _, executors in self._questions.samples([worker["number"]], text, _PATIENCE):
                for task, answer, why in executors:
                    if why is None:
                        yield worker, task, json.loads(answer)

    # -- stacks ----------------------------------------------------------------

    def call_stack(self, futures: Any = None, keys: Iterable[str] | None = None) -> Any:
        """What tasks do right now: the lines of code that they are at.

        Parameters
        ----------
        futures : futures in nested containers or persisted collections, optional
            Only their tasks; all that run by default.
        keys : list of str, optional
            More tasks by their keys.

        Returns
        -------
        dict
            For each worker that runs one of them, by address, a dict of their keys: for each
            the frames of its stack as texts, the outermost first. Frames of
            oxidask itself are left out.

        Notes
        -----
        Tasks of one function that run at once on the threads of this process
        (``processes=False``) cannot be told apart; they are under the function's name.

        Examples
        --------
        >>> from oxidask.distributed import Client, Event
        >>> def wait_for(event):
        ...     return event.wait()
        >>> with Client(n_workers=1, threads_per_worker=1, processes=False) as client:
        ...     begun, go = Event("begun"), Event("go")
        ...     def task():
        ...         begun.set()
        ...         return go.wait()
        ...     future = client.submit(task, key="waiting")
        ...     _ = begun.wait()
        ...     (stacks,) = client.call_stack(future).values()
        ...     go.set()
        ...     "in task" in stacks["waiting"][0]
        True
        """
        wanted: set[str] | None = None
        if futures is not None or keys is not None:
            wanted = set(map(str, keys or ()))
            wanted |= {future.key for future in _context.all_futures(futures)}
        return sync_or_async(self._asynchronous, self._call_stack, wanted)

    def _call_stack(self, wanted: set[str] | None) -> dict[str, dict[str, tuple[str, ...]]]:
        workers = self._chosen(None)
        given = self._processing(None)  # type: ignore[attr-defined]
        stacks: dict[str, dict[str, tuple[str, ...]]] = {}
        for worker, task, threads in self._answers(workers, "stacks"):
            for thread in threads:
                function = thread["frames"][0][2]
                key = task or _key_of(function, given.get(worker["address"], ()), len(threads))
                if wanted is None or key in wanted:
                    texts = tuple(_frame_text(*frame) for frame in thread["frames"])
                    stacks.setdefault(worker["address"], {})[key] = texts
        return stacks

    # -- profiles --------------------------------------------------------------

    def profile(
        self,
        key: str | None = None,
        start: Any = None,
        stop: Any = None,
        workers: Any = None,
        merge_workers: bool = True,
        plot: bool | str = False,
        filename: str | None = None,
        server: bool = False,
        scheduler: bool = False,
    ) -> Any:
        """What tasks spent their time on, sampled every few milliseconds.

        Parameters
        ----------
        key : str, optional
            Only tasks of the function of this name.
        start, stop : number or str, optional
            Moments in seconds since the epoch, or how long ago: ``"10 s"``.
        workers : str or list of str, optional
            Names or addresses; all by default.
        merge_workers : bool
            Whether one profile is answered for all workers, or one for each by its
            address.
        plot : bool or "save"
            Also a flame chart, as HTML; ``"save"`` writes it to ``filename``.
        filename : str, optional
            A file for the chart.
        server, scheduler : bool
            The processes that serve, instead of tasks: they run no Python, so their
            profiles are empty.

        Returns
        -------
        dict
            A call: ``description`` (of it: ``name``, ``filename``, ``line_number``, ``line``), ``count`` of the
            samples in which it was seen, and ``children``, the calls that it was seen to make; the
            outermost stands for the program. With ``plot`` a pair of this and the chart.

        Notes
        -----
        Workers sample as the settings ``distributed.worker.profile.enabled``, ``.interval`` and
        ``.cycle`` (how finely moments are told apart) say. Times of native operations are not in it: see
        :class:`performance_report`.

        Examples
        --------
        >>> import time
        >>> from oxidask.distributed import Client
        >>> def busy():
        ...     stop = time.monotonic() + 0.3
        ...     while time.monotonic() < stop:
        ...         pass
        >>> with Client(n_workers=1, threads_per_worker=1, processes=False) as client:
        ...     client.submit(busy).result()
        ...     profile = client.profile("busy")
        ...     [call["description"]["name"] for call in profile["children"].values()]
        ['busy']
        """
        from oxidask.distributed._watch import moment

        question = {"start": moment(start), "stop": moment(stop)}
        arguments = (key, question, workers, merge_workers, plot, filename, server or scheduler)
        return sync_or_async(self._asynchronous, self._profile, *arguments)

    def _profile(
        self,
        key: str | None,
        question: dict[str, Any],
        workers: Any,
        merge_workers: bool,
        plot: bool | str,
        filename: str | None,
        is_native: bool,
    ) -> Any:
        found: dict[str, list[dict[str, Any]]] = {}
        if not is_native:
            chosen = self._chosen(workers)
            found = {worker["address"]: [] for worker in chosen}
            for worker, _, profile in self._answers(chosen, "profile", **question):
                found[worker["address"]].append(_only(profile, key))
        whole = _profile.merge(*(profile for profiles in found.values() for profile in profiles))
        answer = whole if merge_workers else {at: _profile.merge(*profiles) for at, profiles in found.items()}
        if not plot and filename is None:
            return answer
        chart = flame_chart(whole)
        if filename is not None or plot == "save":
            with open(filename or "dask-profile.html", "w", encoding="utf-8") as file:
                file.write(page("Profile", chart))
        return answer, chart

    # -- logs ------------------------------------------------------------------

    def get_worker_logs(self, n: int | None = None, workers: Any = None, nanny: bool = False) -> Any:
        """The newest lines that tasks, and what runs them, have logged on each worker.

        Kept are the lines of the loggers ``distributed`` and ``oxidask`` and those below, as many as the
        setting ``distributed.admin.log-length`` says.

        Parameters
        ----------
        n : int, optional
            Only so many lines, the newest.
        workers : str or list of str, optional
            Names or addresses; all by default.
        nanny : bool
            Whether the nannies' are meant: they log nothing.

        Returns
        -------
        dict
            By address pairs of a level and a line, the newest first.

        Examples
        --------
        >>> import logging
        >>> from oxidask.distributed import Client
        >>> def task():
        ...     logging.getLogger("distributed.worker").warning("low on paper")
        >>> with Client(n_workers=1, threads_per_worker=1, processes=False) as client:
        ...     client.submit(task).result()
        ...     ((level, line),) = client.get_worker_logs(n=1).popitem()[1]
        ...     level, line.endswith("low on paper")
        ('WARNING', True)
        """
        return sync_or_async(self._asynchronous, self._worker_logs, n, workers, nanny)

    def _worker_logs(self, n: int | None, workers: Any, nanny: bool) -> dict[str, tuple[tuple[str, str], ...]]:
        chosen = self._chosen(workers)
        found: dict[str, list[tuple[float, str, str]]] = {worker["address"]: [] for worker in chosen}
        if not nanny:
            for worker, _, lines in self._answers(chosen, "logs"):
                found[worker["address"]] += map(tuple, lines)
        return {
            address: tuple((level, line) for _, level, line in sorted(lines, reverse=True)[:n])
            for address, lines in found.items()
        }

    def get_scheduler_logs(self, n: int | None = None) -> Any:
        """The lines that the scheduler has logged: none, for it keeps no log.

        What people look for in it, :meth:`explain`, :meth:`get_events` and :meth:`dump_cluster_state` tell.

        Parameters
        ----------
        n : int, optional
            Without effect.

        Returns
        -------
        tuple
            Empty.
        """
        del n
        return sync_or_async(self._asynchronous, tuple)

    # -- where time went ---------------------------------------------------------

    def _ledgers(self) -> dict[str, dict[str, float]]:
        """Where the time of each worker's threads went since it began, by address; seconds and bytes."""
        workers = {worker["number"]: worker["address"] for worker in self._chosen(None)}
        return {workers[number]: ledger for number, ledger in self._questions.ledgers(list(workers), _PATIENCE)}


def _key_of(function: str, given: Iterable[str], n_threads: int) -> str:
    """The key of the task in which a function was seen, if it can be told; the function's name otherwise."""
    given = list(given)
    if len(given) == 1 == n_threads:
        return given[0]
    like = [key for key in given if key == function or key.startswith(f"{function}-")]
    return like[0] if len(like) == 1 else function


def _frame_text(filename: str, line: int, function: str, text: str) -> str:
    return f'  File "{filename}", line {line}, in {function}\n\t{text}'


def _only(profile: dict[str, Any], function: str | None) -> dict[str, Any]:
    """What was seen of tasks of one function."""
    if function is None:
        return profile
    calls = {name: call for name, call in profile["children"].items() if call["description"]["name"] == function}
    return {**profile, "count": sum(call["count"] for call in calls.values()), "children": calls}
