"""What a client asks about its cluster and its members."""

from __future__ import annotations

import time
from typing import Any

from oxidask.distributed import _context
from oxidask.distributed._async import sync_or_async
from oxidask.distributed._future import Future
from oxidask.distributed._members import names_of

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


#: What the engine tells of a worker from heartbeat to heartbeat.
_METRICS = ("managed_bytes", "spilled_bytes", "process_bytes", "paused")


def _worker_info(worker: dict[str, Any]) -> dict[str, Any]:
    """What :meth:`Client.scheduler_info` tells of a worker."""
    known = {name: value for name, value in worker.items() if name not in _METRICS}
    metrics = {name: worker[name] for name in _METRICS}
    # Dask's name of what programs read most.
    metrics["memory"] = worker["process_bytes"]
    return {
        "type": "Worker",
        "id": worker["name"],
        "host": _host_of(worker["address"]),
        **known,
        "resources": dict(worker["resources"]),
        "last_seen": time.time() - worker["last_seen"],
        "status": "paused" if worker["paused"] else "running",
        "services": {},
        "metrics": metrics,
    }


def _host_of(address: str) -> str:
    """The host of an address; of a socket file it is this machine."""
    scheme, _, rest = address.partition("://")
    return "127.0.0.1" if scheme == "unix" else rest.rpartition(":")[0].strip("[]")


class Questions:
    """The part of :class:`Client` that asks."""

    _handle: Any
    _questions: Any
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
            ``"type"``, ``"address"``, ``"pid"``, ``"started"`` (seconds since the epoch), ``"n_workers"``,
            ``"total_threads"``, ``"total_memory"`` (bytes) and ``"workers"``: by address, a dict with
            ``"name"``, ``"host"``, ``"pid"``, ``"nthreads"``, ``"memory_limit"`` (bytes), ``"status"``, ``"last_seen"`` (seconds
            since the epoch), ``"metrics"`` …
        """
        del kwargs
        info = self._questions.info()
        workers = info["workers"] if n_workers < 0 else info["workers"][:n_workers]
        answer = {
            "type": "Scheduler",
            "id": self._address,
            "address": info["address"],
            "pid": info["pid"],
            "services": {},
            "started": time.time() - info["uptime"],
            "n_workers": len(info["workers"]),
            "total_threads": sum(worker["nthreads"] for worker in info["workers"]),
            "total_memory": sum(worker["memory_limit"] for worker in info["workers"]),
            "workers": {worker["address"]: _worker_info(worker) for worker in workers},
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
        chosen = names_of(workers)
        return {
            worker["address"]: worker["nthreads"]
            for worker in self._questions.info()["workers"]
            if workers is None or worker["address"] in chosen or worker["name"] in chosen
        }

    ncores = nthreads

    def _addresses(self) -> dict[int, str]:
        return {worker["number"]: worker["address"] for worker in self._questions.info()["workers"]}

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
        who = self._questions.who_has([future._live for future in found])
        return {
            future.key: tuple(addresses[number] for number in numbers if number in addresses)
            for future, numbers in zip(found, who, strict=True)
        }

    def has_what(self, workers: Any = None, **kwargs: Any) -> Any:
        """The keys of the results that each worker holds, by address."""
        del kwargs
        return sync_or_async(self._asynchronous, self._has_what, workers)

    def _has_what(self, workers: Any) -> dict[str, tuple[str, ...]]:
        return self._by_address(self._questions.has_what(), workers)

    def processing(self, workers: Any = None) -> Any:
        """The keys of the tasks that each worker has to run, by address."""
        return sync_or_async(self._asynchronous, self._processing, workers)

    def _processing(self, workers: Any) -> dict[str, tuple[str, ...]]:
        return self._by_address(self._questions.processing(), workers)

    def _by_address(self, rows: list[tuple[int, list[str]]], workers: Any) -> dict[str, tuple[str, ...]]:
        addresses = self._addresses()
        chosen = None if workers is None else names_of(workers)
        return {
            addresses[number]: tuple(keys)
            for number, keys in rows
            if number in addresses and (chosen is None or addresses[number] in chosen)
        }

    def futures_of(self, futures: Any) -> list[Future]:
        """See :func:`futures_of`."""
        return _context.futures_of(futures, self)  # type: ignore[arg-type]

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

    def nbytes(self, keys: Any = None, summary: bool = True) -> Any:
        """Bytes of results that workers hold.

        Parameters
        ----------
        keys : list of str, optional
            Only these results.
        summary : bool
            Whether to sum them up by what they are called: the part of the key
            before its hash.

        Returns
        -------
        dict
            Bytes by name, or by key.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     data = client.submit(bytes, 1000, key="zeros-1")
        ...     _ = client.gather(data)
        ...     list(client.nbytes()), client.nbytes(["zeros-1"], summary=False)["zeros-1"] >= 1000
        (['zeros'], True)
        """
        return sync_or_async(self._asynchronous, self._nbytes, keys, summary)

    def _nbytes(self, keys: Any, summary: bool) -> dict[str, int]:
        chosen = None if keys is None else {str(key) for key in keys}
        sizes = {name: size for name, size in self._questions.sizes() if chosen is None or name in chosen}
        if not summary:
            return sizes
        by_name: dict[str, int] = {}
        for name, size in sizes.items():
            prefix = name.rpartition("-")[0] or name
            by_name[prefix] = by_name.get(prefix, 0) + size
        return by_name

    def explain(self, future: Any) -> Any:
        """Why a result is not there, in words.

        It names what a task waits for and on which worker, or that it runs, and
        since when. Of one that failed it tells the attempts: where, when, and how
        the process that ran it ended.

        Parameters
        ----------
        future : Future or str
            The future, or its key.

        Returns
        -------
        str
            A line for each step of the reason.

        Examples
        --------
        >>> from oxidask.distributed import Client, Event
        >>> with Client(n_workers=1, threads_per_worker=1, processes=False) as client:
        ...     go = Event("go")
        ...     first = client.submit(go.wait, key="first")
        ...     second = client.submit(str, first, key="second")
        ...     print(client.explain(second).splitlines()[0])
        ...     go.set()
        'second' waits for 1 inputs, one of which is this:
        """
        found = future if isinstance(future, Future) else Future(str(future), self)  # type: ignore[arg-type]
        return sync_or_async(self._asynchronous, self._questions.explain, found._live)

    def dump_cluster_state(self, filename: str = "dask-cluster-dump", **kwargs: Any) -> Any:
        """Writes what the scheduler knows of its workers and tasks to a file, for reports of errors.

        It holds no values, no functions and no secrets.

        Parameters
        ----------
        filename : str
            The file; ``.json`` is appended.

        Examples
        --------
        >>> import json, os, tempfile
        >>> from oxidask.distributed import Client
        >>> with tempfile.TemporaryDirectory() as folder, Client(n_workers=1, processes=False) as client:
        ...     path = os.path.join(folder, "state")
        ...     client.dump_cluster_state(path)
        ...     with open(f"{path}.json") as file:
        ...         sorted(json.load(file))
        ['has_what', 'identity', 'nbytes', 'processing']
        """
        del kwargs
        return sync_or_async(self._asynchronous, self._dump_cluster_state, filename)

    def _dump_cluster_state(self, filename: str) -> None:
        import json

        state = {
            "identity": json.loads(self._questions.identity()),
            "has_what": self._has_what(None),
            "processing": self._processing(None),
            "nbytes": dict(self._questions.sizes()),
        }
        with open(f"{filename}.json", "w", encoding="utf-8") as file:
            json.dump(state, file, indent=1)

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
