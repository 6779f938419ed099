"""Bags: parallel lists of any Python objects.

A bag is a row of partitions, each a list; functions run on them in parallel, by
default in child processes, because Python functions hold Python's lock.

>>> import oxidask.bag as db
>>> numbers = db.from_sequence([0, 1, 2, 3, 4, 5], npartitions=2)
>>> numbers.filter(lambda x: x % 2 == 0).map(lambda x: x * 10).compute()
[0, 20, 40]
>>> numbers.fold(lambda x, y: x + y).compute()
15
"""

from __future__ import annotations

from oxidask.bag import random
from oxidask.bag.avro import read_avro, to_avro
from oxidask.bag.core import Bag
from oxidask.bag.creation import concat, from_delayed, from_sequence, from_url, map, map_partitions, range, zip
from oxidask.bag.item import Item
from oxidask.bag.text import read_text, to_textfiles
from oxidask.base import compute

__all__ = [
    "Bag",
    "Item",
    "compute",
    "concat",
    "from_delayed",
    "from_sequence",
    "from_url",
    "map",
    "map_partitions",
    "random",
    "range",
    "read_avro",
    "read_text",
    "to_avro",
    "to_textfiles",
    "zip",
]
