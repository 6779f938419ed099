"""Random data for examples.

>>> from oxidask.datasets import timeseries
>>> timeseries(end="2000-01-03", freq="1h").npartitions
2
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["make_people", "timeseries"]


def timeseries(
    start: str = "2000-01-01",
    end: str = "2000-01-31",
    freq: str = "1s",
    partition_freq: str = "1D",
    dtypes: Mapping[str, Any] | None = None,
    seed: int | None = None,
    **kwargs: Any,
) -> Any:
    """A random frame over time; see :func:`oxidask.dataframe.io.demo.make_timeseries`.

    Parameters
    ----------
    start, end : str
        The times it covers; the end is not included.
    freq : str
        The time between rows.
    partition_freq : str
        The time that a partition covers.
    dtypes : mapping of names to types
        The columns; ``name``, ``id``, ``x`` and ``y`` by default.
    seed : int, optional
        Where random numbers begin.
    **kwargs
        ``{column}_{argument}``: arguments of a column's distribution.

    Examples
    --------
    >>> timeseries(end="2000-01-02", freq="6h", seed=1).compute().shape
    (4, 4)
    """
    from oxidask.dataframe.io.demo import make_timeseries

    return make_timeseries(
        start=start, end=end, freq=freq, partition_freq=partition_freq, seed=seed, dtypes=dtypes, **kwargs
    )


def make_people(
    npartitions: int = 10, records_per_partition: int = 1000, seed: int | None = None, locale: str = "en"
) -> Any:
    """A bag of records of people who do not exist.

    Parameters
    ----------
    npartitions : int
    records_per_partition : int
    seed : int, optional
        Where random choices begin.
    locale : str
        The language of names, such as ``"de"``.

    Returns
    -------
    Bag
        Of dicts with the keys ``age``, ``name``, ``occupation``, ``telephone``,
        ``address`` and ``credit-card``.

    Raises
    ------
    ImportError
        If the package ``mimesis`` is not installed, which knows names and addresses.
    """
    try:
        import mimesis  # noqa: F401
    except ImportError as error:
        raise ImportError("people are made by the package mimesis\nhint: python -m pip install mimesis") from error
    import numpy as np

    from oxidask.bag import from_sequence

    streams = np.random.SeedSequence(seed).spawn(npartitions)
    seeds = [int(stream.generate_state(1)[0]) for stream in streams]
    return from_sequence(seeds, npartitions=npartitions).map_partitions(_people, records_per_partition, locale)


def _people(seeds: list[int], count: int, locale: str) -> list[dict[str, Any]]:
    import mimesis
    from mimesis.locales import Locale

    language = Locale(locale)
    made: list[dict[str, Any]] = []
    for seed in seeds:
        person = mimesis.Person(locale=language, seed=seed)
        address = mimesis.Address(locale=language, seed=seed)
        payment = mimesis.Payment(seed=seed)
        made += [
            {
                "age": person.random.randint(16, 90),
                "name": (person.first_name(), person.last_name()),
                "occupation": person.occupation(),
                "telephone": person.telephone(),
                "address": {"address": address.address(), "city": address.city()},
                "credit-card": {
                    "number": payment.credit_card_number(),
                    "expiration-date": payment.credit_card_expiration_date(),
                },
            }
            for _ in range(count)
        ]
    return made
