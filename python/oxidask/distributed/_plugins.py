"""Plugins: code that workers run when they are told of it, and when they leave."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import tempfile
import uuid
from typing import Any

__all__ = [
    "CondaInstall",
    "Environ",
    "InstallPlugin",
    "NannyPlugin",
    "PipInstall",
    "SchedulerPlugin",
    "UploadDirectory",
    "WorkerPlugin",
]


class WorkerPlugin:
    """A base for plugins of workers.

    ``setup(worker)`` runs in every process that runs tasks of a worker, those that
    are started later among them, before its next task; ``teardown(worker)`` when
    the plugin is taken down. Both may be coroutine functions. An attribute
    ``name`` is the plugin's name, and ``idempotent`` says that a plugin of that
    name that is there already stays.

    Examples
    --------
    >>> from oxidask.distributed import Client
    >>> class Marked(WorkerPlugin):
    ...     def setup(self, worker):
    ...         worker.mark = "here"
    >>> with Client(n_workers=1, processes=False) as client:
    ...     answers = client.register_plugin(Marked())
    ...     list(client.run(lambda dask_worker: dask_worker.mark).values())
    ['here']
    """

    #: Whether a plugin of the same name that is there already stays.
    idempotent = False

    def setup(self, worker: Any) -> Any:
        """Runs when the plugin is registered."""

    def teardown(self, worker: Any) -> Any:
        """Runs when the plugin is taken down."""

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        """Without effect: workers do not call into Python for each task."""


class Callback(WorkerPlugin):
    """Calls a function when it is set up."""

    def __init__(self, function: Any) -> None:
        from oxidask.distributed._run import OnWorker

        self._call = OnWorker(function)

    def setup(self, worker: Any) -> None:
        """Calls it."""
        self._call()


class NannyPlugin:
    """A base for plugins that prepare the processes of workers."""

    #: Whether a plugin of the same name that is there already stays.
    idempotent = False
    #: Whether the worker's processes should begin anew afterwards.
    restart = False

    def setup(self, nanny: Any) -> Any:
        """Runs when the plugin is registered."""

    def teardown(self, nanny: Any) -> Any:
        """Runs when the plugin is taken down."""


class SchedulerPlugin:
    """A base for plugins of the scheduler.

    The scheduler runs no Python, so such plugins cannot be registered; listen to
    :meth:`Client.subscribe_topic`, or run a client beside the scheduler.
    """

    #: Without effect.
    idempotent = False

    def _never(self, *args: Any, **kwargs: Any) -> Any:
        """Never called: the scheduler runs no Python."""

    start = before_close = close = restart = _never
    add_client = remove_client = add_worker = remove_worker = _never
    update_graph = transition = log_event = valid_workers_downscaling = _never


class Environ(NannyPlugin):
    """Sets variables of the environment.

    Examples
    --------
    >>> Environ({"OMP_NUM_THREADS": 1}).environ
    {'OMP_NUM_THREADS': '1'}
    """

    restart = True

    def __init__(self, environ: dict[str, Any] | None = None) -> None:
        self.environ = {str(name): str(value) for name, value in (environ or {}).items()}

    def setup(self, nanny: Any) -> None:
        """Sets the variables."""
        os.environ.update(self.environ)


class UploadDirectory(NannyPlugin):
    """Sends a folder.

    Parameters
    ----------
    path : str
        The folder.
    restart_workers : bool
        Without effect: every process has the folder before its next task.
    update_path : bool
        Whether modules in it can be imported.
    skip_words : tuple of str
        Parts of paths that stay behind.
    skip : tuple of callables
        Functions of a file's name that say whether it stays behind.
    mode : {"workers", "all", "scheduler"}
        Without effect: the scheduler runs no Python.
    """

    def __init__(
        self,
        path: str,
        restart_workers: bool = False,
        update_path: bool = False,
        skip_words: tuple[str, ...] = (".git", ".github", ".pytest_cache", "tests", "docs"),
        skip: tuple[Any, ...] = (lambda name: os.path.splitext(name)[1] == ".pyc",),
        mode: str = "workers",
    ) -> None:
        if mode not in ("all", "workers", "scheduler"):
            raise ValueError(f"mode is {mode!r}; it must be 'workers', 'scheduler' or 'all'")
        path = os.path.expanduser(path)
        if not os.path.isdir(path):
            raise FileNotFoundError(f"{path} is no folder")
        self.path, self.update_path = os.path.split(os.path.abspath(path))[1], update_path
        self.restart_workers = restart_workers
        self.name = f"upload-directory-{self.path}"
        self._files: dict[str, bytes] = {}
        for folder, _, names in os.walk(path):
            for name in names:
                full = os.path.join(folder, name)
                relative = os.path.relpath(full, path)
                if any(skipped(name) for skipped in skip) or any(word in relative.split(os.sep) for word in skip_words):
                    continue
                with open(full, "rb") as file:
                    self._files[relative] = file.read()

    def setup(self, nanny: Any) -> None:
        """Writes the files."""
        folder = os.path.join(nanny.local_directory, self.path)
        for relative, data in self._files.items():
            path = os.path.join(folder, relative)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
        if self.update_path and folder not in sys.path:
            sys.path.insert(0, folder)


class InstallPlugin(WorkerPlugin):
    """Calls a function that installs something, once on each worker.

    Parameters
    ----------
    install_fn : callable
    restart_workers : bool
        Without effect: processes that start later find what was installed.
    """

    idempotent = True

    def __init__(self, install_fn: Any, restart_workers: bool = False) -> None:
        self.name = f"install-{uuid.uuid4().hex}"
        self._install = install_fn
        self.restart_workers = restart_workers

    def setup(self, worker: Any) -> None:
        """Installs, unless another process of the worker has."""
        mark = os.path.join(worker.local_directory, f"{self.name}-{worker.name}")
        if not os.path.exists(mark):
            self._install()
            with open(mark, "w"):
                pass


class PipInstall(InstallPlugin):
    """Installs packages with pip.

    Parameters
    ----------
    packages : list of str
    pip_options : list of str, optional
    restart_workers : bool

    Raises
    ------
    RuntimeError
        When it is registered, if they cannot be installed.
    """

    def __init__(
        self, packages: list[str], pip_options: list[str] | None = None, restart_workers: bool = False
    ) -> None:
        self.packages, self.pip_options = list(packages), list(pip_options or [])
        super().__init__(self._pip, restart_workers)

    def _pip(self) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("\n".join(self.packages))
            file.flush()
            _install_with("pip install", [sys.executable, "-m", "pip", "install", *self.pip_options, "-r", file.name])


class CondaInstall(InstallPlugin):
    """Installs packages with conda, into the environment of the workers.

    Parameters
    ----------
    packages : list of str
    conda_options : list of str, optional
    restart_workers : bool

    Raises
    ------
    RuntimeError
        When it is registered, if they cannot be installed.
    """

    def __init__(
        self, packages: list[str], conda_options: list[str] | None = None, restart_workers: bool = False
    ) -> None:
        self.packages, self.conda_options = list(packages), list(conda_options or [])
        super().__init__(self._conda, restart_workers)

    def _conda(self) -> None:
        _install_with("conda install", ["conda", "install", "--yes", *self.conda_options, *self.packages])


def _install_with(name: str, command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise RuntimeError(f"{command[0]} is not there to install anything") from error
    if done.returncode != 0:
        raise RuntimeError(f"{name} failed: {done.stderr.strip()}")


def plugin_name(plugin: Any, name: str | None) -> str:
    """What a plugin is called; also checks that it is one."""
    if inspect.isclass(plugin):
        raise TypeError(
            f"{plugin.__name__} is a class, and a plugin is an object of one\nhint: pass {plugin.__name__}()"
        )
    if isinstance(plugin, SchedulerPlugin):
        raise NotImplementedError(
            "the scheduler runs no Python, so it has no plugins\nhint: use Client.subscribe_topic"
        )
    if not hasattr(plugin, "setup") and not hasattr(plugin, "teardown"):
        raise TypeError(f"a plugin has a method 'setup' or 'teardown', {type(plugin).__name__} has none")
    return name or getattr(plugin, "name", None) or f"{type(plugin).__name__}-{uuid.uuid4().hex}"
