"""Arrays of image files."""

from __future__ import annotations

import os
from collections.abc import Callable
from glob import glob
from typing import Any

import numpy as np

from oxidask.array._generic import table
from oxidask.array.core import Array

__all__ = ["imread"]


class ReadImage:
    """Reads an image file as a block."""

    __name__ = "imread"

    def __init__(self, files: list[str], imread: Callable[..., Any], preprocess: Callable[..., Any] | None) -> None:
        self.files, self.imread, self.preprocess = files, imread, preprocess

    def __call__(self, number: int) -> Any:
        image = self.imread(self.files[number])
        if self.preprocess is not None:
            image = self.preprocess(image)
        return np.asarray(image)[None]


def imread(
    filename: str, imread: Callable[..., Any] | None = None, preprocess: Callable[..., Any] | None = None
) -> Array:
    """Image files as an array, one block an image along a new first axis.

    Parameters
    ----------
    filename : str
        A path, or a pattern such as ``"images/*.png"``.
    imread : callable, optional
        Reads a file; ``skimage.io.imread`` by default.
    preprocess : callable, optional
        Is given every image and answers another.

    Raises
    ------
    ValueError
        If no file matches.

    Examples
    --------
    >>> import os, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> np.save(os.path.join(folder, "a.npy"), np.ones((2, 3)))
    >>> imread(os.path.join(folder, "*.npy"), imread=np.load).shape
    (1, 2, 3)
    """
    if imread is None:
        from skimage.io import imread as from_skimage

        imread = from_skimage
    files = sorted(glob(filename))
    if not files:
        raise ValueError(f"no file matches {filename!r}")
    sample = np.asarray(imread(files[0]))
    if preprocess is not None:
        sample = np.asarray(preprocess(sample))
    from oxidask.tokenize import tokenize

    token = tokenize([(f, os.path.getmtime(f)) for f in files], imread, preprocess)
    chunks = ((1,) * len(files), *((n,) for n in sample.shape))
    reads = np.empty((len(files), 0, 2), int)
    return table(
        ReadImage(files, imread, preprocess),
        "imread",
        token,
        [],
        reads,
        chunks,
        np.empty((0,) * len(chunks), sample.dtype),
        passes_block=True,
    )  # type: ignore[no-any-return]
