"""Avro's logical types: what plain values mean, and plain values of objects."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

_DAY = datetime.date(1970, 1, 1)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_LOCAL_EPOCH = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)


def _per_second(name: str) -> int:
    return 1000 if name.endswith("-millis") else 1_000_000


def meant(value: Any, name: str, scale: int) -> Any:
    """The object that a plain value of the logical type ``name`` stands for.

    Examples
    --------
    >>> meant(1, "date", 0)
    datetime.date(1970, 1, 2)
    """
    if name == "date":
        return _DAY + datetime.timedelta(days=value)
    if name.startswith(("timestamp-", "local-timestamp-")):
        epoch = _EPOCH if name.startswith("timestamp-") else _LOCAL_EPOCH
        return epoch + value * (1_000_000 // _per_second(name)) * _MICROSECOND
    if name.startswith("time-"):
        return (_LOCAL_EPOCH + value * (1_000_000 // _per_second(name)) * _MICROSECOND).time()
    if name == "decimal":
        return decimal.Decimal(int.from_bytes(value, "big", signed=True)).scaleb(-scale)
    if name == "uuid":
        return uuid.UUID(value)
    return value


def plain(value: Any, name: str, scale: int) -> Any:
    """The inverse of :func:`meant`; what is plain already stays.

    Examples
    --------
    >>> plain(meant(86_400_000, "timestamp-millis", 0), "timestamp-millis", 0)
    86400000
    """
    if isinstance(value, datetime.datetime):
        epoch = _LOCAL_EPOCH if value.tzinfo is None else _EPOCH
        return (value - epoch) // _MICROSECOND * _per_second(name) // 1_000_000
    if isinstance(value, datetime.date):
        return (value - _DAY).days
    if isinstance(value, datetime.time):
        since = datetime.datetime.combine(_DAY, value.replace(tzinfo=None)) - _LOCAL_EPOCH
        return since // _MICROSECOND * _per_second(name) // 1_000_000
    if isinstance(value, decimal.Decimal):
        number = int(value.scaleb(scale).to_integral_exact())
        return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)
    if isinstance(value, uuid.UUID):
        return str(value)
    return value
