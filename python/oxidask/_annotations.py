"""Wishes about tasks, attached to all that are made inside a context."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from oxidask import _oxidask

_annotations: ContextVar[dict[str, Any] | None] = ContextVar("annotations", default=None)


def get_annotations() -> dict[str, Any]:
    """The annotations of the ``annotate`` contexts around the caller.

    Examples
    --------
    >>> with annotate(priority=1):
    ...     get_annotations()
    {'priority': 1}
    """
    return dict(_annotations.get() or {})


@contextmanager
def annotate(**annotations: Any) -> Iterator[None]:
    """Attaches wishes to the tasks that are made inside the context.

    Parameters
    ----------
    priority : number
        Larger runs earlier.
    retries : int
        How often to run a task again after its function failed.
    workers : str or list of str
        The workers that may run a task.
    allow_other_workers : bool
        Whether others may if none of those is there.
    resources : dict of str to number
        Abstract resources that a task occupies.
    **annotations
        Other names are kept for other tools.

    Raises
    ------
    TypeError
        If a value has the wrong type.

    Examples
    --------
    >>> from oxidask import delayed
    >>> with annotate(priority=10, retries=2):
    ...     a = delayed(abs)(-1)
    >>> a.compute()
    1
    """
    _check_annotations(annotations)
    token = _annotations.set({**(_annotations.get() or {}), **annotations})
    _oxidask.annotations_active(1)
    try:
        yield
    finally:
        _oxidask.annotations_active(-1)
        _annotations.reset(token)


def _check_annotations(annotations: Mapping[str, Any]) -> None:
    for name, kinds, text in (
        ("retries", int, "an integer"),
        ("priority", (int, float), "a number"),
        ("workers", (str, list, tuple, set), "a name or a list of names"),
        ("allow_other_workers", bool, "a bool"),
        ("resources", dict, "a dict"),
    ):
        value = annotations.get(name)
        if value is not None and not callable(value) and not isinstance(value, kinds):  # type: ignore[arg-type]
            raise TypeError(f"'{name}' must be {text}, got {value!r}")
