"""joblib's parallel loops, and scikit-learn's, on oxidask's schedulers.

Importing this module registers the backend:

>>> import joblib
>>> import oxidask.joblib
>>> with joblib.parallel_backend("oxidask", scheduler="threads"):
...     joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(x) for x in [-1, 2])
[1, 2]
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from joblib.parallel import AutoBatchingMixin, ParallelBackendBase, register_parallel_backend

from oxidask.executors import Executor

__all__ = ["OxidaskBackend"]


class OxidaskBackend(AutoBatchingMixin, ParallelBackendBase):
    """The backend ``"oxidask"``.

    Parameters
    ----------
    scheduler : str, Client or callable, optional
        Where calls run: the active client if there is one, else child processes,
        by default.
    **kwargs
        Passed to joblib's own base class.

    Examples
    --------
    >>> import joblib
    >>> with joblib.parallel_backend("oxidask", scheduler="sync"):
    ...     joblib.Parallel()(joblib.delayed(len)(text) for text in ["a", "bc"])
    [1, 2]
    """

    supports_retrieve_callback = True
    supports_return_generator = True
    supports_sharedmem = False
    uses_threads = False

    def __init__(self, scheduler: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._scheduler = scheduler
        self._executor: Executor | None = None

    def _chosen(self) -> Any:
        if self._scheduler is not None:
            return self._scheduler
        from oxidask.base import _client_executor

        return None if _client_executor(required=False) is not None else "processes"

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """How many calls run at once: all that the scheduler can for -1."""
        from oxidask.executors import _workers_of

        if n_jobs == 0:
            raise ValueError("n_jobs == 0 has no meaning: use -1 for all workers")
        workers = _workers_of(self._chosen())
        if n_jobs is None or n_jobs < 0:
            return max(1, workers + 1 + (n_jobs or -1))
        return n_jobs

    def configure(self, n_jobs: int = 1, parallel: Any = None, **kwargs: Any) -> int:
        """Prepares for the calls of one ``Parallel``."""
        del kwargs
        self.parallel = parallel
        n_jobs = self.effective_n_jobs(n_jobs)
        self._executor = Executor(self._chosen(), n_jobs)
        return n_jobs

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], Any] | None = None) -> Future[Any]:
        """Runs a batch of calls."""
        if self._executor is None:
            self.configure(-1)
        assert self._executor is not None
        future = self._executor.submit(func)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Any) -> Any:
        """The result of a batch that is done."""
        return out.result()

    def terminate(self) -> None:
        """Ends what :meth:`configure` began."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Drops the calls that have not begun."""
        self.terminate()
        if ensure_ready:
            self.configure(n_jobs=self.parallel.n_jobs, parallel=self.parallel)


register_parallel_backend("oxidask", OxidaskBackend)
