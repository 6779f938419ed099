"""Tasks that use the cluster that runs them, actors, and coroutines."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time

import numpy as np
import oxidask.array as da
import oxidask.bag as db
import oxidask.dataframe as dd
import pandas as pd
import pytest
from oxidask import delayed
from oxidask.distributed import (
    CancelledError,
    Client,
    Event,
    Future,
    LocalCluster,
    as_completed,
    futures_of,
    get_client,
    get_worker,
    rejoin,
    secede,
    wait,
    worker_client,
)


@pytest.fixture(scope="module", params=[True, False], ids=["processes", "threads"])
def client(request):
    with Client(n_workers=1, threads_per_worker=1, processes=request.param) as client:
        yield client


def fibonacci(n):
    if n < 2:
        return n
    client = get_client()
    return sum(client.gather(client.map(fibonacci, [n - 1, n - 2])))


def test_tasks_wait_for_tasks_on_one_thread(client):
    assert client.submit(fibonacci, 6, pure=False).result(timeout=60) == 8


def test_a_task_waits_for_one_that_is_behind_it(client):
    event = Event(client=client)

    def first(event):
        return event.wait(timeout=30)

    def second(event):
        event.set()
        return "set"

    futures = [client.submit(first, event, pure=False), client.submit(second, event, pure=False)]
    assert client.gather(futures) == [True, "set"]


def test_secede_gives_the_slot_away(client):
    def waits(event):
        secede()
        deadline = time.monotonic() + 30
        # Without help of the cluster, so that nothing lends the slot but secede.
        while not event.is_set() and time.monotonic() < deadline:
            time.sleep(0.01)
        rejoin()
        return event.is_set()

    event = Event(client=client)
    waiting = client.submit(waits, event, pure=False)
    client.submit(lambda event: event.set(), event, pure=False).result(timeout=30)
    assert waiting.result(timeout=60)


def test_secede_is_for_tasks():
    with pytest.raises(ValueError, match="outside a task"):
        secede()
    with pytest.raises(ValueError, match="No worker found"):
        get_worker()
    with pytest.raises(ValueError, match="No worker found"), worker_client():
        pass


def test_a_worker_client_submits(client):
    def task(n):
        with worker_client() as client:
            return sum(client.gather(client.map(abs, range(n))))

    assert client.submit(task, 4, pure=False).result(timeout=60) == 6


def test_a_future_travels_within_an_object(client):
    class Box:
        def __init__(self, inside):
            self.inside = inside

    box = Box(client.submit(abs, -3, pure=False))
    assert client.submit(lambda box: box.inside.result(), box, pure=False).result(timeout=60) == 3


def test_a_future_that_a_task_made_is_an_answer(client):
    def make():
        return get_client().submit(abs, -4, pure=False)

    future = client.submit(make, pure=False).result(timeout=60)
    assert isinstance(future, Future)
    assert future.result(timeout=60) == 4


def test_collections_are_computed_within_tasks(client):
    def total(n):
        import oxidask.array as da

        return int(da.arange(n, chunks=10).sum().compute())

    assert client.submit(total, 100, pure=False).result(timeout=60) == 4950


class Counter:
    n = 0

    def __init__(self, start=0):
        self.n = start

    def add(self, by):
        self.n += by
        return self.n

    def fail(self):
        raise KeyError("nothing there")

    async def later(self):
        await asyncio.sleep(0)
        return "later"


def test_an_actor_keeps_what_it_knows(client):
    counter = client.submit(Counter, 10, actor=True).result()
    assert [counter.add(1).result(), counter.add(2).result()] == [11, 13]
    assert counter.n == 13
    counter.n = 0
    assert counter.n == 0
    with pytest.raises(KeyError, match="nothing there"):
        counter.fail().result()
    with pytest.raises(AttributeError):
        counter.nothing  # noqa: B018
    assert counter.later().result(timeout=30) == "later"


def test_tasks_call_actors(client):
    counter = client.submit(Counter, actor=True).result()
    client.gather(client.map(lambda by, counter: counter.add(by).result(), range(5), counter=counter, pure=False))
    assert counter.n == 10


def test_many_calls_of_an_actor_keep_their_order(client):
    counter = client.submit(Counter, actor=True).result()
    answers = [counter.add(1) for _ in range(2000)]
    assert [answer.result(timeout=60) for answer in answers] == list(range(1, 2001))


def test_an_actor_goes_with_its_future(client):
    counter = client.submit(Counter, actor=True).result()
    assert counter.add(1).result(timeout=30) == 1
    address, key = counter._address, counter.key
    del counter
    from oxidask.distributed import Actor

    ghost = Actor(Counter, address, key)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            ghost.add(0).result(timeout=5)
        except RuntimeError:
            break
    else:
        pytest.fail("the actor lives on")


def test_the_executor_of_the_standard_library(client):
    with client.get_executor() as executor:
        assert list(executor.map(abs, [-1, -2])) == [1, 2]
        future = executor.submit(divmod, 1, 0)
        assert isinstance(future, concurrent.futures.Future)
        assert isinstance(future.exception(timeout=30), ZeroDivisionError)
        assert {done.result() for done in concurrent.futures.as_completed([executor.submit(abs, -1)])} == {1}
    with pytest.raises(RuntimeError, match="shutdown"):
        executor.submit(abs, 1)
    with pytest.raises(TypeError, match="nonsense"):
        client.get_executor(nonsense=1)


def test_what_runs_on_each_worker_sees_it(client):
    addresses = client.run(lambda dask_worker: dask_worker.address)
    assert all(address == seen for address, seen in addresses.items())

    async def coroutine():
        return "ran"

    assert set(client.run(coroutine).values()) == {"ran"}


def test_a_module_is_uploaded(client, tmp_path):
    (tmp_path / "uploaded_by_test.py").write_text("value = 42\n")
    client.upload_file(str(tmp_path / "uploaded_by_test.py"))

    def read():
        import uploaded_by_test

        return uploaded_by_test.value

    assert client.submit(read, pure=False).result(timeout=60) == 42


def test_coroutines():
    async def main():
        async with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, asynchronous=True) as cluster:
            client = await Client(cluster, asynchronous=True)
            future = client.submit(abs, -1)
            assert await future == 1
            assert await future.result() == 1
            assert await client.gather([future, client.submit(abs, -2)]) == [1, 2]
            (scattered,) = await client.scatter([7])
            assert await scattered == 7
            failed = client.submit(divmod, 1, 0)
            assert isinstance(await failed.exception(), ZeroDivisionError)
            with pytest.raises(ZeroDivisionError):
                await failed
            assert len((await wait(client.map(abs, range(3)))).done) == 3
            seen = [await future async for future in as_completed(client.map(abs, [-3, -4]))]
            assert sorted(seen) == [3, 4]
            pairs = as_completed(client.map(abs, [-3, -4]), with_results=True)
            assert sorted([result async for _, result in pairs]) == [3, 4]
            counter = await client.submit(Counter, actor=True)
            assert await counter.add(5) == 5
            assert await counter.n == 5
            assert list((await client.nthreads()).values()) == [2]
            await client.cancel(future)
            assert future.cancelled()
            with pytest.raises(CancelledError):
                await future
            await client.close()
            assert client.status == "closed"

    asyncio.run(main())


def test_misuse_is_told():
    client = Client(asynchronous=True, n_workers=1, processes=False)
    with pytest.raises(TypeError, match="async with"), client:
        pass
    with pytest.raises(OSError, match="127.0.0.1:1"):
        Client("127.0.0.1:1", timeout=1)
    with Client(n_workers=1, processes=False) as client:
        future = client.submit(abs, -1)
    with pytest.raises(RuntimeError, match="closed"):
        client.submit(abs, -1)
    del future


def test_collections_that_are_persisted_can_be_awaited():
    import oxidask.array as da
    import oxidask.bag as db

    async def main():
        async with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, asynchronous=True) as cluster:
            async with Client(cluster, asynchronous=True) as client:
                bag = await client.persist(db.from_sequence(range(4), npartitions=2).map(lambda x: x + 1))
                assert all(future.done() for future in futures_of(bag))
                assert await client.compute(bag.sum()) == 10
                array = await client.persist(da.ones(4, chunks=2))
                assert await client.compute(array.sum()) == 4
                # Of what is not held nothing has to be waited for.
                assert (await da.ones(4, chunks=2)).shape == (4,)

    asyncio.run(main())


def test_persisted_collections_are_waited_for_by_their_futures(client, tmp_path):
    gate = tmp_path / "gate"

    def late(x):
        deadline = time.monotonic() + 30
        while not gate.exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        return x

    blocks = client.persist(da.arange(10, chunks=5).map_blocks(late, meta=np.empty(0, int)))
    frame = (
        dd.from_pandas(pd.DataFrame({"a": [1, 2]}), npartitions=2).map_partitions(late, meta={"a": "int64"}).persist()
    )
    bag = db.from_sequence([1, 2, 3], npartitions=3).map(late).persist()
    one = delayed(late)(1).persist()
    found = [len(futures_of(collection)) for collection in (blocks, frame, bag, one)]
    assert found == [2, 2, 3, 1]
    assert len(futures_of([blocks, {"one": one}])) == 3
    assert len(futures_of(blocks + 1)) == 2 and futures_of(da.ones(3)) == []
    with pytest.raises(TimeoutError):
        wait([blocks, frame, bag, one], timeout=0.05)
    gate.touch()
    done, waiting = wait([blocks, frame, bag, one], timeout=30)
    assert len(done) == 8 and not waiting
    assert blocks.sum().compute() == 45
