"""Measures contenders side by side.

Absolute times on shared machines are noise, so contenders are interleaved round by round and compared by the ratio of
their medians.
"""

import statistics
import time
from collections.abc import Callable


def compare(
    title: str, contenders: dict[str, Callable[[], object]], rounds: int = 5, warm: bool = True
) -> dict[str, float]:
    """Times each contender `rounds` times, interleaved, and prints medians and ratios.

    Parameters
    ----------
    title
        What is measured, for the report.
    contenders
        Functions by name; the first is ours, the others are peers.
    rounds
        How often each is run.
    warm
        Whether each runs once before, which is not counted.

    Returns
    -------
    The median time of each contender in seconds.
    """
    if warm:
        for run in contenders.values():
            run()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    report(title, medians)
    return medians


def report(title: str, medians: dict[str, float]) -> None:
    """Prints one measurement: our time, and each peer's time and ratio to ours."""
    (ours, our_time), *peers = medians.items()
    print(f"{title}\n    {ours}: {format_time(our_time)}")
    for peer, peer_time in peers:
        print(f"    {peer}: {format_time(peer_time)}, {peer_time / our_time:.1f} times ours")
    print(flush=True)


def format_time(seconds: float) -> str:
    """A time in the unit that suits it.

    >>> format_time(0.0000025), format_time(0.012), format_time(3.0)
    ('2.50 µs', '12.00 ms', '3.00 s')
    """
    for unit, factor in (("µs", 1e6), ("ms", 1e3)):
        if seconds * factor < 1000:
            return f"{seconds * factor:.2f} {unit}"
    return f"{seconds:.2f} s"
