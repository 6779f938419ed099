"""Copies of results that nobody needs, and who gives them up."""

from __future__ import annotations

from typing import Any

from oxidask.distributed._async import sync_or_async

__all__ = ["ActiveMemoryManager"]


class ActiveMemoryManager:
    """Keeps results from lying on more workers than is needed; ``Client.amm``.

    A result that tasks fetched lies on several workers. While this runs, which it does
    unless it is stopped, workers that are short of memory give up such copies, never
    the last one and none that is in use.

    Examples
    --------
    >>> from oxidask.distributed import Client
    >>> with Client(n_workers=2, processes=False) as client:
    ...     data = client.scatter([1, 2, 3], broadcast=True, hash=False)
    ...     client.amm.run_once()
    ...     client.amm.running(), {len(holders) for holders in client.who_has(data).values()}
    (True, {1})
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def _ask(self, question: str, *arguments: Any) -> Any:
        return sync_or_async(self._client._asynchronous, getattr(self._client._questions, question), *arguments)

    def start(self) -> Any:
        """Has copies given up when memory is short."""
        return sync_or_async(self._client._asynchronous, self._keep, False)

    def stop(self) -> Any:
        """Leaves copies where they are, also when memory is short."""
        return sync_or_async(self._client._asynchronous, self._keep, True)

    def _keep(self, keeps: bool) -> None:
        self._client._questions.keep_replicas(keeps)

    def running(self) -> Any:
        """Whether copies are given up when memory is short."""
        return sync_or_async(self._client._asynchronous, lambda: not self._client._questions.keep_replicas())

    def run_once(self) -> Any:
        """Has all copies but the last given up now, those of :meth:`Client.replicate` and ``broadcast=True`` included."""
        return self._ask("reduce_replicas")
