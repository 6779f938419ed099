"""Files that clients send to workers."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

__all__ = ["Upload", "add_uploads"]


def _folder(worker: dict[str, Any]) -> str:
    return os.path.join(worker["local_directory"], "uploads")


def add_uploads(worker: dict[str, Any]) -> str:
    """Has this process find modules that were uploaded to its worker."""
    folder = _folder(worker)
    os.makedirs(folder, exist_ok=True)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return folder


class Upload:
    """A file on its way to a worker. Called there, it writes the file."""

    def __init__(self, name: str, data: bytes, load: bool) -> None:
        self.name, self.data, self.load = name, data, load

    def __call__(self) -> dict[str, Any]:
        from oxidask.distributed._context import membership

        worker = membership()
        if worker is None:
            raise RuntimeError("files are uploaded to workers")
        path = os.path.join(add_uploads(worker), self.name)
        # Other processes of the worker may be reading the old one.
        part = f"{path}.{os.getpid()}.part"
        with open(part, "wb") as file:
            file.write(self.data)
        os.replace(part, path)
        self._find(path)
        return {"status": "OK", "nbytes": len(self.data)}

    def _find(self, path: str) -> None:
        importlib.invalidate_caches()
        module, extension = os.path.splitext(self.name)
        if extension in (".zip", ".egg"):
            if path not in sys.path:
                sys.path.insert(0, path)
            sys.path_importer_cache.pop(path, None)
        elif extension == ".py" and self.load:
            known = sys.modules.get(module)
            if known is not None:
                importlib.reload(known)
            else:
                importlib.import_module(module)
