"""Functions whose calls are recorded, and run later in parallel.

:func:`delayed` wraps a function (or any object). Calling the wrapped function
runs nothing; it answers a :class:`Delayed`, which can be passed to further
delayed calls, alone or anywhere inside lists, tuples, dicts, sets and
dataclasses. ``compute`` runs what is needed, in parallel.

>>> from oxidask import delayed
>>> @delayed
... def inc(x):
...     return x + 1
>>> @delayed
... def total(numbers):
...     return sum(numbers)
>>> total([inc(i) for i in range(4)]).compute()
10

Operators, attributes, items and methods of a Delayed are delayed too:

>>> words = delayed("a b c")
>>> (words.split(" ")[1] * 2 + "!").compute()
'bb!'

``delayed(obj, name=None, pure=None, nout=None, traverse=True)``

obj
    The function or object to wrap. Without it, ``delayed`` answers a decorator
    with the other arguments set.
name
    The key of the wrapped object in graphs.
pure
    Whether equal arguments always give equal results. Calls of pure functions
    with equal arguments have equal keys, and are computed once. The default is
    the setting ``delayed_pure``, which is ``False``.
nout
    How many elements a call's result has, so that it can be unpacked.
traverse
    Whether lazy things are looked for inside ``obj``.

A call takes two keyword arguments of its own, which the function does not see:
``dask_key_name`` (the key of this call) and ``pure``.

>>> inc(1, dask_key_name="two")
Delayed('two')
>>> halves = delayed(divmod, nout=2)
>>> quotient, remainder = halves(17, 5)
>>> (quotient + remainder).compute()
5
>>> inc(1, pure=True).key == inc(1, pure=True).key
True

The truth of a Delayed is unknown, so that it cannot steer an ``if``:

>>> bool(inc(1))
Traceback (most recent call last):
...
TypeError: the truth of a Delayed is not known before it is computed
hint: call .compute() first
"""

from __future__ import annotations

from oxidask._oxidask import Delayed, DelayedAttr, DelayedLeaf, delayed

__all__ = ["Delayed", "DelayedAttr", "DelayedLeaf", "delayed"]
