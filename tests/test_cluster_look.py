"""Looking into workers: what their functions do, and where their time went."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from oxidask.distributed import Client

#: What is asked: the stacks of all threads.
STACKS = '["stacks", {}]'


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Client(n_workers=1, threads_per_worker=1, set_as_default=False) as client:
        yield client


def worker_numbers(client: Client) -> list[int]:
    return [worker["number"] for worker in client._questions.info()["workers"]]


def waiting_for_ever(path: str) -> None:
    import os
    import time

    while not os.path.exists(path):
        time.sleep(0.01)


def busy(seconds: float) -> float:
    import time

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return seconds


def test_what_runs_is_seen_with_its_task_and_line(client: Client, tmp_path: Any) -> None:
    gate = tmp_path / "gate"
    future = client.submit(waiting_for_ever, str(gate))
    deadline = time.monotonic() + 30
    found: list[Any] = []
    while not found and time.monotonic() < deadline:
        ((_, executors),) = client._questions.samples(worker_numbers(client), STACKS, 10.0)
        found = [(task, stacks) for task, stacks, _ in executors if task is not None and stacks not in (None, "[]")]
    (task, stacks) = found[0]
    assert task == future.key
    functions = [frame[2] for thread in json.loads(stacks) for frame in thread["frames"]]
    assert "waiting_for_ever" in functions
    assert not any(name in ("main", "run") for name in functions), "oxidask's own frames are left out"
    gate.write_text("")
    future.result(30)
    ((_, executors),) = client._questions.samples(worker_numbers(client), STACKS, 10.0)
    assert all(task is None and stacks == "[]" for task, stacks, _ in executors)


def test_a_worker_that_is_not_there_says_so(client: Client) -> None:
    ((number, ((task, stacks, why),)),) = client._questions.samples([999], STACKS, 1.0)
    assert (number, task, stacks) == (999, None, None)
    assert "gone" in why
    assert client._questions.ledgers([999], 1.0) == []


def test_time_is_accounted_for(client: Client) -> None:
    numbers = worker_numbers(client)
    ((_, before),) = client._questions.ledgers(numbers, 10.0)
    client.gather(client.map(busy, [0.1, 0.1, 0.1], pure=False))
    ((_, after),) = client._questions.ledgers(numbers, 10.0)
    spent = {name: after[name] - before[name] for name in after}
    assert spent["tasks"] == 3
    assert spent["compute"] >= 0.29
    accounted = sum(spent[name] for name in ("compute", "gil", "child", "input", "load", "idle"))
    assert accounted <= spent["elapsed"] * after["threads"] + 0.2
    assert client._questions.info()["scheduler_busy"] > 0
