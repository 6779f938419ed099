"""Files that clients send to workers."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from oxidask.distributed._plugins import WorkerPlugin

__all__ = ["UploadFile"]


class UploadFile(WorkerPlugin):
    """Sends a file to all workers, those that come later among them.

    See :meth:`Client.upload_file`.

    Parameters
    ----------
    filepath : str
        The file.
    load : bool
        Whether a Python module is imported, or imported again, at once.

    Examples
    --------
    >>> import os, tempfile
    >>> from oxidask.distributed import Client
    >>> with tempfile.TemporaryDirectory() as folder, Client(n_workers=1, processes=False) as client:
    ...     path = os.path.join(folder, "numbers.txt")
    ...     with open(path, "w") as file:
    ...         _ = file.write("1 2 3")
    ...     [answer["nbytes"] for answer in client.register_plugin(UploadFile(path)).values()]
    [5]
    """

    def __init__(self, filepath: str, load: bool = True) -> None:
        self.filename = os.path.basename(filepath)
        self.name = f"upload-file-{self.filename}"
        self.load = load
        with open(filepath, "rb") as file:
            self.data = file.read()

    def setup(self, worker: Any) -> dict[str, Any]:
        """Writes the file."""
        folder = os.path.join(worker.local_directory, "uploads")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, self.filename)
        # Other processes of the worker may be reading the old one.
        part = f"{path}.{os.getpid()}.part"
        with open(part, "wb") as file:
            file.write(self.data)
        os.replace(part, path)
        if folder not in sys.path:
            sys.path.insert(0, folder)
        self._find(path)
        return {"status": "OK", "nbytes": len(self.data)}

    def _find(self, path: str) -> None:
        importlib.invalidate_caches()
        module, extension = os.path.splitext(self.filename)
        if extension in (".zip", ".egg", ".pyz"):
            if path not in sys.path:
                sys.path.insert(0, path)
            sys.path_importer_cache.pop(path, None)
        elif extension == ".py" and self.load:
            known = sys.modules.get(module)
            if known is not None:
                importlib.reload(known)
            else:
                importlib.import_module(module)
