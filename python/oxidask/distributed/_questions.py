"""What a client asks about its cluster and its members."""

from __future__ import annotations

from typing import Any

from oxidask.distributed import _context
from oxidask.distributed._async import sync_or_async
from oxidask.distributed._future import Future, seconds_of

__all__ = ["Questions"]


class SchedulerInfo(dict[str, Any]):
    """The answer of :meth:`Client.scheduler_info`: a dict that notebooks show."""

    def _repr_html_(self) -> str:
        import html

        rows = "".join(
            f"<tr><td><code>{html.escape(address)}</code></td><td>{html.escape(str(worker['id']))}</td>"
            f"<td>{worker['nthreads']}</td><td>{worker['memory_limit']}</td></tr>"
            for address, worker in self["workers"].items()
        )
        return (
            f"<b>Scheduler</b> <code>{html.escape(self['address'])}</code>, {self['n_workers']} workers, "
            f"{self['total_threads']} threads<table><tr><th>address</th><th>name</th><th>threads</th>"
            f"<th>memory limit</th></tr>{rows}</table>"
        )


class Questions:
    """The part of :class:`Client` that asks."""

    _handle: Any
    _asynchronous: bool
    _address: str
    id: str

    # What may wait comes in two forms: the name without underscore serves
    # coroutines, too.

    def scheduler_info(self, n_workers: int = -1, **kwargs: Any) -> dict[str, Any]:
        """What the scheduler knows of itself and its workers.

        Returns
        -------
        dict
            ``"type"``, ``"address"``, ``"pid"`` and ``"workers"``: by address, a dict with
            ``"name"``, ``"pid"``, ``"nthreads"``, ``"memory_limit"`` (bytes), ``"metrics"`` …
        """
        del kwargs
        info = self._handle.info()
        workers = info["workers"] if n_workers < 0 else info["workers"][:n_workers]
        metrics = ("managed_bytes", "spilled_bytes", "process_bytes", "paused")
        answer = {
            "type": "Scheduler",
            "id": self._address,
            "address": info["address"],
            "pid": info["pid"],
            "n_workers": len(info["workers"]),
            "total_threads": sum(worker["nthreads"] for worker in info["workers"]),
            "workers": {
                worker["address"]: {
                    "type": "Worker",
                    "id": worker["name"],
                    **{name: value for name, value in worker.items() if name not in metrics},
                    "resources": dict(worker["resources"]),
                    "metrics": {name: worker[name] for name in metrics},
                }
                for worker in workers
            },
        }
        return SchedulerInfo(answer)

    def nthreads(self, workers: Any = None) -> Any:
        """The number of threads of each worker, by address.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, threads_per_worker=3, processes=False) as client:
        ...     list(client.nthreads().values())
        [3]
        """
        return sync_or_async(self._asynchronous, self._nthreads, workers)

    def _nthreads(self, workers: Any) -> dict[str, int]:
        return {
            worker["address"]: worker["nthreads"]
            for worker in self._handle.info()["workers"]
            if workers is None or worker["address"] in workers or worker["name"] in workers
        }

    ncores = nthreads

    def _addresses(self) -> dict[int, str]:
        return {worker["number"]: worker["address"] for worker in self._handle.info()["workers"]}

    def who_has(self, futures: Any = None, **kwargs: Any) -> Any:
        """The addresses of the workers that hold each future's result, by key.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     future = client.submit(abs, -1, key="one")
        ...     _ = future.result()
        ...     [len(holders) for holders in client.who_has(future).values()]
        [1]
        """
        del kwargs
        return sync_or_async(self._asynchronous, self._who_has, futures)

    def _who_has(self, futures: Any = None) -> dict[str, tuple[str, ...]]:
        found = _context.all_futures(futures) if futures is not None else []
        addresses = self._addresses()
        if futures is None:
            held: dict[str, tuple[str, ...]] = {}
            for address, keys in self._has_what(None).items():
                for key in keys:
                    held[key] = (*held.get(key, ()), address)
            return held
        who = self._handle.who_has([future._live for future in found])
        return {
            future.key: tuple(addresses[number] for number in numbers if number in addresses)
            for future, numbers in zip(found, who, strict=True)
        }

    def has_what(self, workers: Any = None, **kwargs: Any) -> Any:
        """The keys of the results that each worker holds, by address."""
        del kwargs
        return sync_or_async(self._asynchronous, self._has_what, workers)

    def _has_what(self, workers: Any) -> dict[str, tuple[str, ...]]:
        return self._by_address(self._handle.has_what(), workers)

    def processing(self, workers: Any = None) -> Any:
        """The keys of the tasks that each worker has to run, by address."""
        return sync_or_async(self._asynchronous, self._processing, workers)

    def _processing(self, workers: Any) -> dict[str, tuple[str, ...]]:
        return self._by_address(self._handle.processing(), workers)

    def _by_address(self, rows: list[tuple[int, list[str]]], workers: Any) -> dict[str, tuple[str, ...]]:
        addresses = self._addresses()
        chosen = None if workers is None else [workers] if isinstance(workers, str) else list(workers)
        return {
            addresses[number]: tuple(keys)
            for number, keys in rows
            if number in addresses and (chosen is None or addresses[number] in chosen)
        }

    def futures_of(self, futures: Any) -> list[Future]:
        """See :func:`futures_of`."""
        return _context.futures_of(futures, self)  # type: ignore[arg-type]

    # -- members ---------------------------------------------------------------

    def wait_for_workers(self, n_workers: int, timeout: Any = None) -> Any:
        """Waits until at least ``n_workers`` are there.

        Raises
        ------
        TimeoutError
            If they are not there in time.
        """
        if not isinstance(n_workers, int) or n_workers < 1:
            raise ValueError(f"n_workers is {n_workers!r}; it must be a whole number above 0")
        return sync_or_async(self._asynchronous, self._wait_for_workers, n_workers, seconds_of(timeout))

    def _wait_for_workers(self, n_workers: int, timeout: float | None) -> None:
        if not self._handle.wait_for_workers(n_workers, timeout):
            n_there = len(self._handle.info()["workers"])
            raise TimeoutError(f"after {timeout} s there were {n_there}/{n_workers} workers")

    def retire_workers(self, workers: Any = None, close_workers: bool = True, **kwargs: Any) -> Any:
        """Lets workers leave, once what only they hold is copied to others.

        Parameters
        ----------
        workers : list of str
            Names or addresses.

        Returns
        -------
        dict
            The workers that left, by address or name as given.
        """
        del close_workers, kwargs
        names = [workers] if isinstance(workers, str) else [str(worker) for worker in workers or ()]
        return sync_or_async(self._asynchronous, lambda: {name: {} for name in self._handle.retire(names)})

    def replicate(self, futures: Any, n: int | None = None, workers: Any = None, **kwargs: Any) -> Any:
        """Copies results to more workers.

        Parameters
        ----------
        futures : futures in nested containers
        n : int, optional
            How many workers shall have each; all by default.
        workers : list of str, optional
            Workers that may get them.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=2, processes=False) as client:
        ...     future = client.scatter([1, 2, 3], hash=False)[0]
        ...     client.replicate(future)
        ...     [len(holders) for holders in client.who_has(future).values()]
        [2]
        """
        del kwargs
        return sync_or_async(self._asynchronous, self._replicate, futures, n, workers)

    def _replicate(self, futures: Any, n: int | None, workers: Any) -> None:
        chosen = [workers] if isinstance(workers, str) else workers
        names = {
            worker["address"]: worker["name"]
            for worker in self._handle.info()["workers"]
            if chosen is None or worker["name"] in chosen or worker["address"] in chosen
        }
        n = len(names) if n is None else n
        if not 1 <= n <= len(names):
            raise ValueError(f"{n} workers were asked for, and there are {len(names)}")
        found = _context.all_futures(futures)
        self._handle.wait([future._live for future in found], False, None)
        holders = self._handle.who_has([future._live for future in found])
        addresses = self._addresses()
        reads = []
        for future, numbers in zip(found, holders, strict=True):
            there = [addresses[number] for number in numbers if number in addresses]
            missing = [name for address, name in names.items() if address not in there]
            for name in missing[: max(0, n - len(there))]:
                # What a task reads stays on its worker as a copy.
                reads.append(self.submit(_read, future, workers=[name], pure=False))  # type: ignore[attr-defined]
        if reads:
            self._handle.wait([read._live for read in reads], False, None)

    def run_on_scheduler(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Not possible: the scheduler runs no Python.

        Raises
        ------
        NotImplementedError
            Always.
        """
        del args, kwargs
        name = getattr(function, "__name__", function)
        raise NotImplementedError(
            f"{name} cannot run on the scheduler, which runs no Python\nhint: use Client.run, or the questions of Client"
        )

    def restart_workers(self, workers: Any, timeout: Any = "60s", raise_for_error: bool = True, **kwargs: Any) -> Any:
        """Ends worker processes of this machine; new ones take their places.

        Parameters
        ----------
        workers : list of str
            Names or addresses.
        timeout : number of seconds or str
            Longest wait for the new ones.
        raise_for_error : bool
            Whether it is an error if they are not there in time.

        Returns
        -------
        dict
            By worker as given: ``"OK"`` or ``"timed out"``.

        Raises
        ------
        ValueError
            If a worker is unknown, or has no process of its own.
        """
        del kwargs
        names = [workers] if isinstance(workers, str) else list(workers)
        return sync_or_async(self._asynchronous, self._restart_workers, names, seconds_of(timeout), raise_for_error)

    def _restart_workers(self, names: list[str], timeout: float | None, raise_for_error: bool) -> dict[str, str]:
        import os
        import signal
        import time

        known = {}
        for worker in self._handle.info()["workers"]:
            known[worker["name"]] = known[worker["address"]] = worker
        for name in names:
            if name not in known:
                raise ValueError(f"there is no worker {name!r}\nhint: there are {sorted(known)}")
            if known[name]["pid"] == os.getpid():
                raise ValueError(f"the worker {name!r} cannot be restarted: it is a thread of this process")
        for name in names:
            os.kill(known[name]["pid"], signal.SIGTERM)
        deadline = None if timeout is None else time.monotonic() + timeout
        answer = dict.fromkeys(names, "timed out")
        while "timed out" in answer.values() and (deadline is None or time.monotonic() < deadline):
            now = {worker["name"]: worker["pid"] for worker in self._handle.info()["workers"]}
            for name in names:
                if now.get(known[name]["name"], known[name]["pid"]) != known[name]["pid"]:
                    answer[name] = "OK"
            time.sleep(0.02)
        late = [name for name, how in answer.items() if how != "OK"]
        if late and raise_for_error:
            raise TimeoutError(f"workers {late} were not there again after {timeout} s")
        return answer

    def nbytes(self, keys: Any = None, summary: bool = True) -> Any:
        """Bytes of the results of each worker, by address.

        Parameters
        ----------
        keys
            Without effect: results are counted together.
        """
        del keys, summary
        return sync_or_async(
            self._asynchronous,
            lambda: {worker["address"]: worker["managed_bytes"] for worker in self._handle.info()["workers"]},
        )

    def get_versions(self, check: bool = False, packages: Any = None) -> Any:
        """Versions of Python and packages here and on each worker.

        Parameters
        ----------
        check : bool
            Whether a difference is an error.
        packages : list of str, optional
            More packages to tell of.

        Raises
        ------
        ValueError
            With ``check``, if members differ.
        """
        return sync_or_async(self._asynchronous, self._get_versions, check, packages)

    def _get_versions(self, check: bool, packages: Any) -> dict[str, Any]:
        from oxidask.distributed._versions import mismatches, versions

        names = [] if packages is None else [str(name) for name in packages]
        here = versions(names)
        workers = self._run(versions, (names,), {}, None, True, "raise")  # type: ignore[attr-defined]
        answer = {"client": here, "scheduler": here, "workers": workers}
        if check:
            found = mismatches(answer)
            if found:
                raise ValueError("client, scheduler and workers have different versions\n" + "\n".join(found))
        return answer

    def write_scheduler_file(self, scheduler_file: str) -> None:
        """Writes a file by which other clients find the cluster.

        It holds the cluster's secret, so only its owner may read it.

        Raises
        ------
        ValueError
            If this client has read such a file itself.
        """
        import json
        import os

        target = self.scheduler  # type: ignore[attr-defined]
        described = {"address": target.address, "secret": target.secret}
        if target.security is not None:
            described["security"] = json.loads(target.security)
        with os.fdopen(os.open(scheduler_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(described, file)


def _read(value: Any) -> None:
    """Reads a result, so that the worker has it."""
    del value
