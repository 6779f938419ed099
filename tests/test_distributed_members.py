"""Members of a cluster that come and go, and copies of results."""

import json
import os
import time

import pytest
from oxidask import delayed
from oxidask.distributed import Adaptive, Client, Event, LocalCluster


@pytest.fixture
def client():
    with Client(n_workers=2, threads_per_worker=1, processes=False) as client:
        yield client


def eventually(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)


def test_results_are_replicated(client):
    data = client.scatter(list(range(4)), hash=False)
    client.replicate(data)
    assert {len(holders) for holders in client.who_has(data).values()} == {2}
    one = client.submit(abs, -1, workers=["0"], pure=False)
    client.replicate(one, n=1)
    assert len(client.who_has(one)[one.key]) == 1
    client.replicate([one], n=2, workers=["0", "1"])
    assert len(client.who_has(one)[one.key]) == 2
    with pytest.raises(ValueError, match="3 workers were asked for, and there are 2"):
        client.replicate(one, n=3)
    with pytest.raises(ValueError, match="there is no worker 'nobody'"):
        client.replicate(one, workers=["nobody"])


def test_results_are_rebalanced(client):
    data = client.scatter([bytes(100_000) for _ in range(8)], workers=["0"], hash=False)
    client.gather(data)
    before = client.has_what()
    assert sorted(map(len, before.values())) == [0, 8]
    client.rebalance(data)
    eventually(lambda: sorted(map(len, client.has_what().values())) == [4, 4])
    with pytest.raises(ValueError, match="there is no worker 'nobody'"):
        client.rebalance(workers="nobody")


def test_a_retired_worker_leaves_its_results(client):
    kept = client.submit(str, 7, workers=["1"])
    kept.result()
    left = client.retire_workers(["1"])
    assert [worker["name"] for worker in left.values()] == ["1"]
    assert len(client.nthreads()) == 1
    assert kept.result() == "7" and kept.status == "finished"
    assert client.retire_workers() == {}
    with pytest.raises(ValueError, match="there is no worker '1'"):
        client.retire_workers("1")


def test_restart_forgets_everything(client):
    go = Event("go")
    done, waiting = client.submit(abs, -1), client.submit(go.wait, 60)
    done.result()
    assert client.restart() is None
    assert done.status == waiting.status == "cancelled"
    go.set()
    assert client.submit(abs, -1).result() == 1


def test_restarted_processes_are_others():
    with Client(n_workers=2, threads_per_worker=1) as client:
        before = client.run(os.getppid)
        kept = client.submit(str, 7, workers=["1"])
        kept.result()
        assert client.restart_workers(["0"], timeout=60) == {"0": "OK"}
        after = client.run(os.getppid)
        assert len(set(after.values()) & set(before.values())) == 1
        client.restart(timeout=60)
        assert not set(client.run(os.getppid).values()) & set(after.values())
        assert kept.status == "cancelled"
        with pytest.raises(ValueError, match="there is no worker 'nobody'"):
            client.restart_workers(["nobody"])


def test_a_thread_of_this_process_cannot_be_restarted(client):
    with pytest.raises(ValueError, match="requires a nanny"):
        client.restart_workers(["0"])


def test_a_cluster_follows_its_load():
    with LocalCluster(n_workers=0, threads_per_worker=1, processes=False) as cluster, cluster.get_client() as client:
        go = Event("go")
        adaptive = cluster.adapt(minimum=0, maximum=3, interval="5ms", wait_count=2, target_duration="1ms")
        waiting = client.map(lambda number: go.wait(timeout=60), range(8))
        client.wait_for_workers(3, timeout=60)
        assert adaptive.target() <= 3
        go.set()
        client.gather(waiting)
        del waiting
        eventually(lambda: len(client.nthreads()) == 0)
        assert adaptive.cluster is cluster
    with pytest.raises(ValueError, match="minimum is 3 and maximum 2"):
        Adaptive(cluster, minimum=3, maximum=2)


def test_what_is_waited_for_is_explained(client):
    go = Event("go")
    first = client.submit(go.wait, 60, key="first")
    second = client.submit(str, first, key="second")
    third = client.submit(str, second, key="third", resources={"GPU": 1})
    lines = client.explain(third).splitlines()
    assert [line.split("'")[1] for line in lines[:3]] == ["third", "second", "first"]
    go.set()
    eventually(lambda: second.done())
    eventually(lambda: "waits for a worker with GPU=1; none such is there" in client.explain("third"))
    failed = client.submit(divmod, 1, 0, key="failed")
    failed.exception()
    assert "division" in client.explain(failed)


def test_sizes_and_the_dump(client, tmp_path):
    data = client.submit(bytes, 50_000, key="zeros-1")
    data.result()
    assert client.nbytes(summary=False)["zeros-1"] >= 50_000
    assert client.nbytes()["zeros"] == client.nbytes(["zeros-1"])["zeros"]
    client.dump_cluster_state(str(tmp_path / "state"))
    state = json.loads((tmp_path / "state.json").read_text())
    assert set(state) == {"identity", "has_what", "processing", "nbytes"}
    assert "secret" not in json.dumps(state)


def test_wishes_at_compute_time_hold_for_the_whole_graph(client):
    @delayed(pure=False)
    def where():
        from oxidask.distributed import get_worker

        return get_worker().name

    parts = [where() for _ in range(6)]
    total = delayed(sorted)(parts)
    assert set(client.compute(total, workers=["1"]).result()) == {"1"}
    assert set(client.persist(total, workers=["0"]).compute()) == {"0"}


def test_retries_at_compute_time_hold_for_the_whole_graph(client, tmp_path):
    @delayed(pure=False)
    def fails_at_first(path):
        with open(path, "a") as file:
            file.write("x")
        if os.path.getsize(path) < 3:
            raise OSError("not yet")
        return "there"

    answer = delayed(str.upper)(fails_at_first(str(tmp_path / "a")))
    assert client.compute(answer, retries=2).result() == "THERE"
    again = delayed(str.upper)(fails_at_first(str(tmp_path / "b")))
    assert isinstance(client.compute(again, retries=1).exception(), OSError)


def test_a_worker_that_nobody_can_take_results_from_stays_and_says_so():
    with Client(n_workers=1, threads_per_worker=1, processes=False) as client:
        kept = client.submit(abs, -1)
        assert kept.result() == 1
        (address,) = client.nthreads()
        with pytest.raises(TimeoutError, match=r"stay: they hold 1 results \(abs-"):
            client.retire_workers([address])
        assert kept.result() == 1
        assert client.submit(abs, -2).result() == 2
        # Once nobody needs the result, the worker leaves.
        del kept
        assert list(client.retire_workers([address])) == [address]
        assert not client.nthreads()
