"""Bags against Dask's, both on child processes: word counts, and frequencies in JSON lines."""

import json
import operator
import random
import tempfile
from functools import partial
from pathlib import Path

from harness import compare

MEGABYTES = 24


def write_words(path: Path) -> None:
    """Lines of common and rare words."""
    generator = random.Random(1)
    words = [f"word{i}" for i in range(20_000)]
    weights = [1 / (i + 1) for i in range(len(words))]
    size = 0
    with path.open("w") as file:
        while size < MEGABYTES * 1_000_000:
            size += file.write(" ".join(generator.choices(words, weights, k=1000)).replace(" word1 ", "\n") + "\n")


def write_records(path: Path) -> None:
    """Records of five fields, one of which is counted."""
    generator = random.Random(2)
    zones = [f"Area/City_{i}" for i in range(400)]
    size, number = 0, 0
    with path.open("w") as file:
        while size < MEGABYTES * 1_000_000:
            record = {
                "id": number,
                "tz": generator.choice(zones),
                "name": f"user {number % 1_000_000}",
                "x": 0.5,
                "tags": ["a", "b"],
            }
            size += file.write(json.dumps(record) + "\n")
            number += 1


def word_count(db, path: Path) -> dict[str, int]:
    """How often each word occurs."""
    return dict(db.read_text(path, blocksize=4_000_000).map(str.split).flatten().frequencies().compute())


def zone_count(db, path: Path) -> list[tuple[str, int]]:
    """The five most frequent zones."""
    records = db.read_text(path, blocksize=4_000_000).map(json.loads).filter(operator.itemgetter("tz"))
    return records.pluck("tz").frequencies().topk(5, key=1).compute()


def main() -> None:
    """Checks that the results are equal, and measures."""
    import dask.bag
    import oxidask.bag

    with tempfile.TemporaryDirectory() as folder:
        for name, write, count in (("words", write_words, word_count), ("records.jsonl", write_records, zone_count)):
            path = Path(folder) / name
            write(path)
            ours, theirs = count(oxidask.bag, path), count(dask.bag, str(path))
            if name == "words":
                assert ours == theirs
            else:
                assert [n for _, n in ours] == [n for _, n in theirs]
            compare(
                f"{count.__name__} of {MEGABYTES} MB",
                {"oxidask": partial(count, oxidask.bag, path), "dask": partial(count, dask.bag, str(path))},
                rounds=3,
            )


if __name__ == "__main__":
    main()
