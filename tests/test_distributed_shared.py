"""What clients share: queues, variables, locks, events, semaphores, topics, datasets."""

from __future__ import annotations

import asyncio
import threading

import pytest
from oxidask.distributed import (
    Client,
    Event,
    Future,
    LocalCluster,
    Lock,
    MultiLock,
    Queue,
    Semaphore,
    Variable,
    get_client,
)


@pytest.fixture(scope="module", params=[True, False], ids=["processes", "threads"])
def client(request):
    with Client(n_workers=2, threads_per_worker=1, processes=request.param) as client:
        yield client


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False) as cluster:
        yield cluster


def test_a_queue_carries_objects_and_futures_in_order(client):
    queue = Queue(client=client)
    queue.put(1)
    queue.put([client.submit(abs, -2, pure=False)])
    assert queue.qsize() == 2
    assert queue.get() == 1
    (future,) = queue.get()
    assert isinstance(future, Future)
    assert future.result() == 2


def test_results_in_a_queue_outlive_their_futures(client):
    queue = Queue(client=client)
    queue.put(client.submit(lambda: "kept", pure=False))
    # Nobody but the queue knows the result now.
    assert queue.get(timeout=10).result() == "kept"


def test_a_full_queue_makes_wait_and_an_empty_one_too(client):
    queue = Queue(maxsize=1, client=client)
    queue.put(1)
    with pytest.raises(TimeoutError):
        queue.put(2, timeout=0.05)
    assert queue.get(batch=True) == [1]
    assert queue.get(batch=True) == []
    with pytest.raises(TimeoutError):
        queue.get(timeout=0.05)
    queue.put(3)
    assert queue.get(timeout=5) == 3


def test_tasks_talk_through_queues(client):
    question, answer = Queue(client=client), Queue(client=client)

    def serve(question, answer):
        while True:
            value = question.get(timeout=30)
            if value is None:
                return "done"
            answer.put(value * 2)

    served = client.submit(serve, question, answer, pure=False)
    for value in range(3):
        question.put(value)
    assert [answer.get(timeout=30) for _ in range(3)] == [0, 2, 4]
    question.put(None)
    assert served.result(timeout=30) == "done"


def test_a_variable_is_waited_for_and_can_be_deleted(client):
    variable = Variable(client=client)
    with pytest.raises(TimeoutError):
        variable.get(timeout=0.05)
    threading.Timer(0.05, lambda: Variable(variable.name, client=client).set("there")).start()
    assert variable.get(timeout=10) == "there"
    variable.set(client.submit(abs, -7, pure=False))
    assert variable.get().result() == 7
    variable.delete()
    with pytest.raises(TimeoutError):
        variable.get(timeout=0.05)


def test_a_failed_future_travels_as_such(client):
    variable = Variable(client=client)
    variable.set(client.submit(divmod, 1, 0))
    with pytest.raises(ZeroDivisionError):
        variable.get().result()


def test_locks_exclude_tasks_from_each_other(client):
    def add(name, path):
        with Lock(name):
            with open(path) as file:
                value = int(file.read())
            with open(path, "w") as file:
                file.write(str(value + 1))

    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("0")
        file.flush()
        client.gather(client.map(add, ["counter"] * 20, [file.name] * 20, pure=False))
        with open(file.name) as counted:
            assert counted.read() == "20"


def test_a_lock_times_out_and_says_who_may_release_it(client):
    lock, other = Lock("held", client=client), Lock("held", client=client)
    assert lock.acquire()
    assert lock.locked()
    assert not other.acquire(timeout=0.05)
    assert not other.acquire(blocking=False)
    with pytest.raises(RuntimeError, match="not held"):
        other.release()
    lock.release()
    assert not lock.locked()
    with pytest.raises(ValueError, match="blocking"):
        lock.acquire(blocking=False, timeout=1)


def test_several_locks_are_taken_at_once(client):
    both, one = MultiLock(["x", "y"], client=client), MultiLock(["y", "z"], client=client)
    with both:
        assert not one.acquire(timeout=0.05)
        assert one.acquire(num_locks=1)
        one.release()
    assert one.acquire(timeout=5)
    one.release()
    with pytest.raises(ValueError, match="3 of 2"):
        one.acquire(num_locks=3)


def test_a_semaphore_limits(client):
    semaphore = Semaphore(max_leases=2, name="two", client=client)
    assert semaphore.acquire() and semaphore.acquire()
    assert semaphore.get_value() == 2
    assert not semaphore.acquire(timeout=0.05)
    semaphore.release()
    assert semaphore.get_value() == 1
    semaphore.release()
    with pytest.raises(RuntimeError, match="too often"):
        semaphore.release()
    with pytest.raises(ValueError, match="2 leases"):
        Semaphore(max_leases=3, name="two", client=client)


def test_an_event_lets_all_go_on(client):
    event = Event(client=client)
    waiting = client.map(lambda _, event: event.wait(timeout=30), range(4), event=event, pure=False)
    assert not event.is_set()
    assert not event.wait(timeout=0.01)
    event.set()
    assert client.gather(waiting) == [True] * 4
    event.clear()
    assert not event.is_set()


def test_a_holder_that_dies_holds_nothing(cluster):
    with cluster.get_client() as client, Client(cluster, set_as_default=False) as mortal:
        assert Lock("mortal", client=mortal).acquire()
        assert not Lock("mortal", client=client).acquire(timeout=0.02)
        mortal.close()
        assert Lock("mortal", client=client).acquire(timeout=30)


def test_events_are_logged_and_told(client):
    told = threading.Event()
    seen = []

    def handler(event):
        seen.append(event[1])
        if len(seen) == 2:
            told.set()

    client.subscribe_topic("steps", handler)
    client.log_event("steps", {"n": 1})
    client.submit(lambda: get_client().log_event("steps", {"n": 2}), pure=False).result()
    assert told.wait(30)
    assert seen == [{"n": 1}, {"n": 2}]
    assert [message for _, message in client.get_events("steps")] == seen
    client.unsubscribe_topic("steps")
    with pytest.raises(ValueError, match="steps"):
        client.unsubscribe_topic("steps")


def test_datasets_are_published_and_outlive_their_publisher(cluster):
    with cluster.get_client() as first:
        first.publish_dataset(answer=first.submit(abs, -42, pure=False))
        with pytest.raises(KeyError, match="already exists"):
            first.publish_dataset(answer=1)
    with cluster.get_client() as second:
        assert second.list_datasets() == ("answer",)
        assert second.datasets["answer"].result(timeout=10) == 42
        second.publish_dataset(1, name="answer", override=True)
        assert second.get_dataset("answer") == 1
        second.unpublish_dataset("answer")
        assert second.get_dataset("answer", default=None) is None
        # A task that unpublishes may run twice.
        second.unpublish_dataset("answer")
        with pytest.raises(KeyError, match="'answer' was not found"):
            second.get_dataset("answer")


def test_metadata_is_a_tree(client):
    client.set_metadata("x", 1)
    client.set_metadata(["a", "b"], 2)
    client.set_metadata("a", {"c": {"d": 3}})
    assert client.get_metadata("x") == 1
    assert client.get_metadata("a") == {"b": 2, "c": {"d": 3}}
    assert client.get_metadata(["a", "c", "d"]) == 3
    with pytest.raises(KeyError):
        client.get_metadata("nothing")


def test_everything_serves_coroutines():
    async def main():
        async with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, asynchronous=True) as cluster:
            async with Client(cluster, asynchronous=True) as client:
                queue, variable = Queue(client=client), Variable(client=client)
                await queue.put(client.submit(abs, -1))
                assert await (await queue.get()) == 1
                with pytest.raises(TimeoutError):
                    await queue.get(timeout=0.02)
                getting = asyncio.ensure_future(variable.get())
                await variable.set("there")
                assert await getting == "there"
                async with Lock("async", client=client):
                    assert not await Lock("async", client=client).acquire(timeout=0.02)
                semaphore = await Semaphore(max_leases=1, client=client)
                assert await semaphore.acquire()
                await semaphore.release()
                event = Event(client=client)
                waiting = asyncio.ensure_future(event.wait())
                await event.set()
                assert await waiting
                await client.publish_dataset(data=1)
                assert [name async for name in client.datasets] == ["data"]

    asyncio.run(main())


@pytest.mark.parametrize("kind", [Queue, Variable])
def test_a_future_is_kept_while_its_question_waits_to_be_asked(kind):
    """A coroutine may run long after its caller has dropped the future that it was given."""

    async def main():
        async with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, asynchronous=True) as cluster:
            async with Client(cluster, asynchronous=True) as client:
                shared = kind(client=client)
                leave = shared.put if kind is Queue else shared.set
                leaving = leave(client.submit(abs, -1))
                # Releases go before whatever is submitted after them, so the
                # scheduler has heard of all that are due when this is done.
                assert await client.submit(abs, -2) == 2
                await leaving
                assert await (await shared.get()) == 1

    asyncio.run(main())


def test_a_lease_that_comes_when_nobody_waits_any_more_is_given_back():
    async def main():
        async with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, asynchronous=True) as cluster:
            async with Client(cluster, asynchronous=True) as client:
                for _ in range(20):
                    acquiring = asyncio.ensure_future(Lock("given back", client=client).acquire())
                    # The question is asked, and its answer is on its way or not.
                    await asyncio.sleep(0)
                    acquiring.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await acquiring
                lock = Lock("given back", client=client)
                assert await lock.acquire(timeout=30)
                await lock.release()

    asyncio.run(main())


def test_what_is_too_large_is_refused(cluster):
    with cluster.get_client() as client, pytest.raises(ValueError, match="scatter"):
        Queue(client=client).put(b"x" * (17 << 20))


def test_an_element_that_comes_when_nobody_waits_any_more_goes_back():
    async def main():
        async with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, asynchronous=True) as cluster:
            async with Client(cluster, asynchronous=True) as client:
                queue = Queue("goes back", client=client)
                for n in range(60):
                    value = client.submit(abs, -n) if n % 2 else n
                    await queue.put(value)
                    del value
                    getting = asyncio.ensure_future(queue.get())
                    # The answer is on its way, has come, or is being unpickled.
                    for _ in range(n % 20):
                        await asyncio.sleep(0)
                    getting.cancel()
                    try:
                        got = await getting
                    except asyncio.CancelledError:
                        got = await queue.get(timeout=30)
                    assert (await got if n % 2 else got) == n
                assert await queue.qsize() == 0

    asyncio.run(main())
