"""Bags that are larger than the memory they may take."""

import json
import time

import oxidask.bag as db
import pytest
from oxidask.distributed import Client, wait


@pytest.mark.parametrize("key", ["k", lambda record: hash(record["k"])], ids=["native", "python"])
def test_groups_larger_than_the_memory_limit_are_spilled(tmp_path, key):
    path = tmp_path / "records.jsonl"
    with path.open("w") as file:
        for n in range(20_000):
            file.write(json.dumps({"k": n % 50, "n": n, "text": "x" * 3_000}) + "\n")
    with Client(n_workers=1, threads_per_worker=1, memory_limit="60 MB", local_directory=str(tmp_path)) as client:

        def held(name):
            return next(iter(client.scheduler_info()["workers"].values()))["metrics"][name]

        groups = db.read_text(path, blocksize="1 MB").map(json.loads).groupby(key, npartitions=40).persist()
        wait(groups)
        deadline = time.monotonic() + 60
        while held("spilled_bytes") < 10e6 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert held("spilled_bytes") >= 10e6
        sizes = groups.map(lambda group: (len(group[1]), sum(record["n"] for record in group[1]))).compute()
    assert sorted(sizes) == [(400, sum(range(k, 20_000, 50))) for k in range(50)]
