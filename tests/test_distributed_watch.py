"""What tasks did, who cancels what, and coroutines as tasks."""

import asyncio
import time

import pytest
from oxidask import delayed
from oxidask.distributed import (
    CancelledError,
    Client,
    Event,
    MemorySampler,
    as_completed,
    get_client,
    get_task_metadata,
    get_task_stream,
    performance_report,
    progress,
    span,
    wait,
)


@pytest.fixture
def client():
    with Client(n_workers=2, threads_per_worker=1, processes=False) as client:
        yield client


def test_the_task_stream_tells_what_ran_where_and_when(client):
    begin = time.time()
    assert client.get_task_stream() == []
    wait(client.map(time.sleep, [0.02] * 4, pure=False))
    client.submit(divmod, 1, 0).exception()
    records = client.get_task_stream()
    assert [record["status"] for record in records] == ["OK"] * 4 + ["error"]
    assert {record["worker"] for record in records[:4]} <= set(client.nthreads())
    for record in records[:4]:
        (part,) = record["startstops"]
        assert begin - 1 < part["start"] < part["stop"] < time.time() + 1
        assert 0.015 < part["stop"] - part["start"] < 5
    assert len(client.get_task_stream(count=2)) == 2
    assert client.get_task_stream(start=time.time() + 60) == []
    assert len(client.get_task_stream(start="1 hour")) == 5


def test_a_stream_and_a_report_of_a_block(client, tmp_path):
    with get_task_stream(plot="save", filename=str(tmp_path / "stream.html")) as stream:
        wait(client.map(abs, range(5)))
    client.submit(abs, -10).result()
    assert len(stream.data) == 5
    assert "<svg" in (tmp_path / "stream.html").read_text() and stream.figure.startswith("<svg")
    with performance_report(str(tmp_path / "report.html")):
        client.submit(lambda: "<&>", key="odd").result()
    report = (tmp_path / "report.html").read_text()
    assert "1 tasks" in report and "2 workers" in report and "&lt;lambda&gt;" in report


def test_progress_ends_at_100_percent(client, capsys):
    progress([client.map(abs, range(3))], client.submit(time.sleep, 0.2))
    assert capsys.readouterr().out.rstrip().rsplit("\r", 1)[1].startswith("[" + "#" * 40 + "] | 100% Completed | ")


def test_memory_is_sampled(client):
    sampler = MemorySampler()
    with sampler.sample("kept", measure="managed", interval=0.01):
        data = client.submit(bytes, 1_000_000)
        wait(data)
        deadline = time.monotonic() + 30
        while all(total < 1_000_000 for _, total in sampler.samples["kept"]):
            assert time.monotonic() < deadline, "the workers never told of the memory that they use"
            time.sleep(0.01)
    table = sampler.to_pandas()
    assert table["kept"].iloc[0] < 1_000_000 <= table["kept"].iloc[-1]
    assert sampler.to_pandas(align=True).index[0].total_seconds() == 0
    with pytest.raises(ValueError, match="measure is 'all'"), sampler.sample(measure="all"):
        pass
    with pytest.raises(ValueError, match="at least one"), span():
        pass


def test_what_another_client_wants_is_not_cancelled(client):
    go = Event("go")
    with client.cluster.get_client() as other:
        mine, theirs = client.submit(go.wait, 60, key="same"), other.submit(go.wait, 60, key="same")
        # A question is answered after what the same client asked before.
        other.scheduler_info()
        client.cancel(mine)
        assert mine.cancelled() and not theirs.cancelled()
        with pytest.raises(CancelledError):
            mine.result()
        go.set()
        assert theirs.result(timeout=30) is True
        # Asked for again, it is as good as new.
        assert client.submit(go.wait, 60, key="same").result(timeout=30) is True
        go.clear()
        mine, theirs = client.submit(go.wait, 61, key="other"), other.submit(go.wait, 61, key="other")
        other.scheduler_info()
        client.cancel(mine, force=True)
        with pytest.raises(CancelledError):
            theirs.result(timeout=30)


def test_cancelled_futures_do_not_keep_the_others(client):
    go = Event("never")
    first, second = client.submit(go.wait, 60), client.submit(abs, -1)
    completed = as_completed([first, second], with_results=True)
    first.cancel()
    results = dict(completed)
    assert results[second] == 1 and isinstance(results[first], CancelledError)


def test_coroutine_functions_are_tasks(client):
    async def later(x):
        await asyncio.sleep(0)
        return x + 1

    assert client.submit(later, 1).result() == 2
    assert client.gather(client.map(later, range(3))) == [1, 2, 3]
    assert client.compute(delayed(later)(4)).result() == 5
    assert delayed(later)(4).compute(scheduler="sync") == 5

    async def fails():
        raise OSError("here")

    assert isinstance(client.submit(fails).exception(), OSError)


def test_futures_of_another_client_of_the_cluster_are_gathered(client):
    with client.cluster.get_client() as other, Client(n_workers=1, processes=False, set_as_default=False) as stranger:
        theirs = other.submit(abs, -3)
        assert client.gather([client.submit(abs, -2), theirs]) == [2, 3]
        with pytest.raises(ValueError, match="Futures created by another client"):
            client.gather(stranger.submit(abs, -4))


def test_large_arguments_are_warned_of(client):
    with pytest.warns(UserWarning, match="Sending large graph of size 11.44 MiB"):
        assert client.submit(len, bytes(12_000_000)).result() == 12_000_000


def test_shared_objects_follow_their_cluster():
    # The process keeps the function, and the event in it, from one cluster to the next.
    for _ in range(2):
        with Client(n_workers=1, processes=False) as client:
            event = Event("go")
            waiting = client.submit(event.wait, 30, key="waiting")
            event.set()
            assert waiting.result(timeout=30) is True


def test_an_actor_asks_on_its_worker(client):
    class Asker:
        def ask(self):
            from oxidask.distributed import get_worker

            return get_worker().name, get_client().submit(abs, -5).result()

    asker = client.submit(Asker, actor=True, workers=["1"]).result()
    assert asker.ask().result(timeout=30) == ("1", 5)
    assert client.sync(asker.ask) == ("1", 5)


def test_records_call_tasks_by_the_names_that_users_gave(client):
    def fails(x):
        raise ValueError(x)

    with get_task_stream() as stream, get_task_metadata() as tasks:
        futures = [
            client.submit(abs, -71, key="metadata-one"),
            client.submit(fails, 72, key=("metadata", 2)),
            *client.map(abs, [-73, -74], key=["metadata-3", "metadata-4"]),
            client.submit(abs, -75),
        ]
        wait(futures)
        keys = {future.key for future in futures}
        released = client.submit(abs, -76, key="metadata-released")
        wait(released)
        del released
    keys.add("metadata-released")
    assert {record["key"] for record in stream.data} == keys
    assert tasks.state == {key: "erred" if key == futures[1].key else "memory" for key in keys}
    addresses = set(client.scheduler_info()["workers"])
    for metadata in tasks.metadata.values():
        assert metadata["worker"] in addresses
        assert metadata["start_time"] <= metadata["stop_time"]
        assert metadata["nbytes"] >= 0
