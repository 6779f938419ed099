"""Plugins: code that workers run when they are told of it, and when they leave."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import tempfile
import uuid
from typing import Any

from oxidask.distributed._run import finished

__all__ = [
    "Environ",
    "InstallPlugin",
    "NannyPlugin",
    "PipInstall",
    "SchedulerPlugin",
    "UploadDirectory",
    "UploadFile",
    "WorkerPlugin",
]


class WorkerPlugin:
    """A base for plugins of workers.

    ``setup(worker)`` runs when the plugin is registered, ``teardown(worker)``
    when it is taken down. Both may be coroutine functions.

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

    def setup(self, worker: Any) -> Any:
        """Runs when the plugin is registered."""

    def teardown(self, worker: Any) -> Any:
        """Runs when the plugin is taken down."""

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        """Without effect: workers do not call into Python for each task."""


class NannyPlugin:
    """A base for plugins that prepare the processes of workers."""

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

    def start(self, scheduler: Any) -> Any:
        """Never called."""

    def close(self) -> Any:
        """Never called."""


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


class UploadFile(WorkerPlugin):
    """Sends a file; see :meth:`Client.upload_file`."""

    def __init__(self, filepath: str, load: bool = True) -> None:
        from oxidask.distributed._upload import Upload

        self.name = f"upload-{os.path.basename(filepath)}"
        with open(filepath, "rb") as file:
            self._upload = Upload(os.path.basename(filepath), file.read(), load)

    def setup(self, worker: Any) -> Any:
        """Writes the file."""
        return self._upload()


class UploadDirectory(NannyPlugin):
    """Sends a folder.

    Parameters
    ----------
    path : str
        The folder.
    restart : bool
    update_path : bool
        Whether modules in it can be imported.
    skip_words : tuple of str
        Parts of paths that stay behind.
    skip : tuple of callables
        Functions of a file's name that say whether it stays behind.
    mode : {"all", "scheduler"}
    """

    def __init__(
        self,
        path: str,
        restart: bool = False,
        update_path: bool = False,
        skip_words: tuple[str, ...] = (".git", ".github", ".pytest_cache", "tests", "docs"),
        skip: tuple[Any, ...] = (lambda name: os.path.splitext(name)[1] == ".pyc",),
        mode: str = "all",
    ) -> None:
        if mode not in ("all", "scheduler"):
            raise ValueError(f"mode is {mode!r}; it must be 'all' or 'scheduler'")
        path = os.path.expanduser(path)
        if not os.path.isdir(path):
            raise FileNotFoundError(f"{path} is no folder")
        self.path, self.restart, self.update_path = os.path.split(os.path.abspath(path))[1], restart, update_path
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
    """Calls a function that installs something, once on each worker."""

    idempotent = True

    def __init__(self, install_fn: Any, restart_workers: bool = False) -> None:
        self.name = f"install-{uuid.uuid4().hex}"
        self._install = install_fn
        self.restart_workers = restart_workers

    def setup(self, worker: Any) -> None:
        """Installs."""
        self._install()


class PipInstall(InstallPlugin):
    """Installs packages with pip.

    Parameters
    ----------
    packages : list of str
    pip_options : list of str, optional
    restart_workers : bool
    """

    def __init__(
        self, packages: list[str], pip_options: list[str] | None = None, restart_workers: bool = False
    ) -> None:
        self.packages = list(packages)
        self.pip_options = list(pip_options or [])
        super().__init__(self._pip, restart_workers)

    def _pip(self) -> None:
        requirements = None
        try:
            with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as file:
                requirements = file.name
                file.write("\n".join(self.packages))
            command = [sys.executable, "-m", "pip", "install", *self.pip_options, "-r", requirements]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        finally:
            if requirements is not None:
                os.unlink(requirements)
        if done.returncode != 0:
            raise RuntimeError(f"pip install failed: {done.stderr.strip()}")


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


#: Plugins of this process by the address of the worker and their name.
_plugins: dict[tuple[str, str], Any] = {}


class PluginSetup:
    """A plugin on its way to a worker. Called there, it sets the plugin up."""

    def __init__(self, plugin: Any, name: str, idempotent: bool) -> None:
        self.plugin, self.name, self.idempotent = plugin, name, idempotent

    def __call__(self) -> dict[str, Any]:
        from oxidask.distributed._context import get_worker

        worker = get_worker()
        old = _plugins.get((worker.address, self.name))
        if old is not None and self.idempotent:
            return {"status": "repeat"}
        if old is not None and hasattr(old, "teardown"):
            finished(old.teardown(worker))
        _plugins[worker.address, self.name] = self.plugin
        if hasattr(self.plugin, "setup"):
            finished(self.plugin.setup(worker))
        return {"status": "OK"}


class PluginTeardown:
    """Called on a worker, it takes a plugin down."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self) -> dict[str, Any]:
        from oxidask.distributed._context import get_worker

        worker = get_worker()
        plugin = _plugins.pop((worker.address, self.name), None)
        if plugin is not None and hasattr(plugin, "teardown"):
            finished(plugin.teardown(worker))
        return {"status": "OK"}
