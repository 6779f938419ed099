"""Client, Future and LocalCluster, with real worker processes."""

import os
import signal
import threading
import time
from concurrent.futures import CancelledError

import numpy as np
import oxidask
import pytest
from oxidask import delayed
from oxidask.distributed import (
    Client,
    ClosedError,
    Future,
    KilledWorker,
    LocalCluster,
    as_completed,
    default_client,
    fire_and_forget,
    futures_of,
    get_client,
    wait,
)


def inc(x):
    return x + 1


def slow_inc(x, seconds=0.02):
    time.sleep(seconds)
    return x + 1


def eventually(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.005)


def is_alive(pid):
    return os.path.exists(f"/proc/{pid}")


@pytest.fixture(scope="module")
def shared_cluster():
    with LocalCluster(n_workers=2, threads_per_worker=1) as cluster:
        yield cluster


@pytest.fixture
def client(shared_cluster):
    with Client(shared_cluster) as client:
        yield client


@pytest.fixture
def own_client():
    with Client(n_workers=2, threads_per_worker=1) as client:
        yield client


def test_submit_and_result(client):
    future = client.submit(inc, 1)
    assert isinstance(future, Future)
    assert future.result(timeout=30) == 2
    assert future.done() and future.status == "finished" and not future.cancelled()
    assert future.key.startswith("inc-")
    assert "finished" in repr(future) and future.key in future._repr_html_()
    assert client.submit(pow, 2, exp=3).result() == 8


def test_pure_calls_share_a_key_and_impure_ones_do_not(client):
    assert client.submit(inc, 5).key == client.submit(inc, 5).key
    assert client.submit(inc, 5).key != client.submit(inc, 6).key
    assert client.submit(inc, 5).key == client.map(inc, [5])[0].key
    assert client.submit(inc, 5, pure=False).key != client.submit(inc, 5, pure=False).key
    named = client.submit(inc, 5, key="my-name")
    assert named.key == "my-name" and named.result() == 6


def test_map_and_gather(client):
    futures = client.map(inc, range(1000))
    assert client.gather(futures) == list(range(1, 1001))
    assert client.gather(client.map(pow, [2, 3, 4], [3, 2])) == [8, 9]
    assert client.gather(client.map(slow_inc, [1, 2], seconds=0)) == [2, 3]
    keys = client.map(inc, range(3), key="three")
    assert all(future.key.startswith("three-") for future in keys) and len({future.key for future in keys}) == 3
    # Other calls under the same name are other results.
    assert client.gather(client.map(inc, range(10, 13), key="three")) == [11, 12, 13]
    assert client.map(inc, range(3), key="three")[0].key == keys[0].key
    assert client.map(inc, range(3), key="three", pure=False)[0].key != keys[0].key
    assert client.map(inc, []) == []


def test_futures_nest_in_arguments(client):
    one, two = client.map(inc, [0, 1])
    assert client.submit(sum, [one, two]).result() == 3
    assert client.submit(lambda d: d["a"] + d["b"][0], {"a": one, "b": (two,)}).result() == 3
    assert client.submit(pow, two, exp=two).result() == 4
    assert client.gather(client.map(inc, [one, two, 10])) == [2, 3, 11]
    assert delayed(sum)([one, two, 4]).compute() == 7
    assert client.gather({"x": one, "y": [two, (one,)]}) == {"x": 1, "y": [2, (1,)]}


def test_a_chain_keeps_its_inputs_without_their_futures(client):
    value = client.submit(inc, 0, pure=False)
    for _ in range(50):
        value = client.submit(inc, value)
    assert value.result() == 51


def test_large_arrays_travel(client):
    array = np.arange(2_000_000, dtype="f8")
    future = client.submit(lambda x: x * 2, array)
    np.testing.assert_array_equal(future.result(), array * 2)
    held = client.scatter(array)
    assert client.submit(np.sum, held).result() == array.sum()
    assert client.gather(client.map(np.sum, [array, array[:10]])) == [array.sum(), 45.0]


def test_scatter(client):
    assert client.gather(client.scatter([1, 2, 3])) == [1, 2, 3]
    table = client.scatter({"a": 1, "b": 2})
    assert set(table) == {"a", "b"} and client.gather(table) == {"a": 1, "b": 2}
    single = client.scatter("text")
    assert isinstance(single, Future) and single.result() == "text"
    assert client.gather(client.scatter((1, 2))) == (1, 2)
    everywhere = client.scatter(3.5, broadcast=True)
    eventually(lambda: len(client.who_has(everywhere)[everywhere.key]) == 2)
    assert client.scatter(3.5).key == everywhere.key
    assert client.scatter(3.5, hash=False).key != everywhere.key


def test_scattered_values_take_no_place_of_a_task_that_is_freed():
    for _ in range(8):
        with Client(n_workers=1, processes=False) as client:
            # The number of this task is free again when the values are sent.
            client.submit(abs, -1).result()
            kept = client.scatter([1, 2, 3], hash=False)
            wait(kept)
            assert client.gather([client.submit(str, value) for value in kept]) == ["1", "2", "3"]


def test_compute_and_persist_of_collections(client):
    total = delayed(sum)([delayed(inc)(i) for i in range(10)])
    assert client.compute(total).result() == 55
    assert client.compute([total, 7], sync=True) == [55, 7]
    assert oxidask.compute(total, total + 1) == (55, 56)
    held = client.persist(total)
    assert held.compute() == 55
    assert (held + 1).compute() == 56
    (also_held,) = oxidask.persist(total)
    assert also_held.compute(scheduler="threads") == 55


def test_computed_collections_look_as_their_own_compute(client):
    da = pytest.importorskip("oxidask.array")
    dd = pytest.importorskip("oxidask.dataframe")
    pd = pytest.importorskip("pandas")
    x = da.arange(100, chunks=30).reshape((10, 10)) if hasattr(da, "arange") else da.ones((10, 10), chunks=3)
    future = client.compute(x)
    np.testing.assert_array_equal(future.result(timeout=30), x.compute(scheduler="sync"))
    assert client.submit(np.sum, future).result() == x.compute(scheduler="sync").sum()
    pdf = pd.DataFrame({"a": [1, 2, 3, 4] * 25, "b": range(100)})
    frame = dd.from_pandas(pdf, npartitions=4)
    total, groups = client.compute([frame.b.sum(), frame.groupby("a").b.sum()])
    assert total.result(timeout=30) == pdf.b.sum()
    assert groups.result(timeout=30).sort_index().to_list() == pdf.groupby("a").b.sum().to_list()
    assert client.gather([total, 3]) == [pdf.b.sum(), 3]
    held = client.persist(frame)
    assert len(held) == 100 and held.b.sum().compute() == pdf.b.sum()


def test_the_open_client_runs_collections(client):
    @delayed
    def pid():
        return os.getpid()

    assert default_client() is client and get_client() is client
    on_cluster = pid().compute()
    assert on_cluster != os.getpid()
    assert pid().compute(scheduler="threads") == os.getpid()
    assert pid().compute(scheduler=client) != os.getpid()
    with client.as_current():
        assert Client.current() is client


def test_without_a_client():
    assert delayed(os.getpid)().compute() == os.getpid()
    with pytest.raises(ValueError, match="no client"):
        default_client()
    with pytest.raises(ValueError, match="needs a client"):
        delayed(inc)(1).compute(scheduler="distributed")


def test_wait_and_as_completed(client):
    futures = client.map(slow_inc, range(6))
    done, not_done = wait(futures)
    assert done == set(futures) and not not_done
    first = wait([client.submit(slow_inc, 100, 0.5), client.submit(inc, 7)], return_when="FIRST_COMPLETED")
    assert len(first.done) >= 1
    with pytest.raises(TimeoutError):
        wait(client.submit(slow_inc, 101, 1.0), timeout=0.05)
    assert sorted(future.result() for future in as_completed(client.map(inc, range(20)))) == list(range(1, 21))
    pairs = dict(as_completed(client.map(inc, range(5)), with_results=True))
    assert sorted(pairs.values()) == [1, 2, 3, 4, 5]
    growing = as_completed([client.submit(inc, 1)])
    seen = []
    for future in growing:
        seen.append(future.result())
        if len(seen) < 4:
            growing.add(client.submit(inc, future))
    assert seen == [2, 3, 4, 5] and growing.is_empty()
    assert sum(len(batch) for batch in as_completed(client.map(inc, range(9))).batches()) == 9


def test_callbacks_run_with_the_future(client):
    called = threading.Event()
    seen = []

    def remember(future):
        seen.append(future.result())
        called.set()

    future = client.submit(slow_inc, 1)
    future.add_done_callback(remember)
    assert called.wait(10) and seen == [2]
    called.clear()
    future.add_done_callback(remember)
    assert called.wait(10), "a callback of a future that is done is called too"


def test_exceptions_arrive_as_themselves(client):
    def fail(x):
        raise KeyError("what", x)

    future = client.submit(fail, 3)
    with pytest.raises(KeyError) as caught:
        future.result(timeout=30)
    assert caught.value.args == ("what", 3)
    assert "fail" in str(caught.value.__cause__), "the remote traceback names the function"
    assert future.status == "error"
    assert isinstance(future.exception(), KeyError)
    after = client.submit(inc, future)
    assert isinstance(after.exception(), KeyError)
    with pytest.raises(KeyError):
        client.gather([client.submit(inc, 1), future])
    assert client.gather([client.submit(inc, 1), future], errors="skip") == [2]
    results = list(as_completed([future], with_results=True, raise_errors=False))
    assert results[0][1][0] is KeyError


def test_retry_and_retries(client, tmp_path):
    marker = tmp_path / "runs"

    def flaky(path, n):
        with open(path, "a") as file:
            file.write("x")
        with open(path) as file:
            if len(file.read()) < n:
                raise RuntimeError("not yet")
        return "there"

    assert client.submit(flaky, str(marker), 3, retries=5).result(timeout=30) == "there"
    marker.unlink()
    future = client.submit(flaky, str(marker), 2, pure=False)
    assert isinstance(future.exception(timeout=30), RuntimeError)
    future.retry()
    assert future.result(timeout=30) == "there"


def test_what_cannot_be_pickled_is_named(client):
    lock = threading.Lock()
    with pytest.raises(TypeError, match="lock"):
        client.submit(inc, lock)

    def uses_lock(x):
        with lock:
            return x

    with pytest.raises(TypeError, match="uses_lock"):
        client.submit(uses_lock, 1)
    with pytest.raises(TypeError, match="function"):
        client.submit(3)
    assert client.submit(inc, 1).result() == 2


def test_a_result_that_cannot_be_pickled_is_an_error(client):
    with pytest.raises(TypeError, match="pickle"):
        client.submit(threading.Lock).result(timeout=30)


def test_cancel(client):
    blocker = [client.submit(slow_inc, i, 0.3, pure=False) for i in range(4)]
    future = client.submit(inc, blocker[3])
    client.cancel(future)
    assert future.cancelled() and future.status == "cancelled"
    with pytest.raises(CancelledError):
        future.result(timeout=10)
    assert client.submit(inc, 41).result(timeout=30) == 42


def test_dropping_the_last_future_frees_the_result(client):
    futures = client.map(bytes, [1000 + i for i in range(20)])
    wait(futures)
    keys = {future.key for future in futures}
    assert keys <= set(client.who_has())
    del futures
    eventually(lambda: not keys & set(client.who_has()))


def test_fire_and_forget(client, tmp_path):
    target = tmp_path / "written"

    def write(path):
        time.sleep(0.05)
        with open(path, "w") as file:
            file.write("done")

    fire_and_forget(client.submit(write, str(target), pure=False))
    eventually(lambda: target.exists() and target.read_text() == "done")


def test_questions(client, shared_cluster):
    info = client.scheduler_info()
    assert info["type"] == "Scheduler" and len(info["workers"]) == 2
    assert sum(client.nthreads().values()) == 2 == sum(client.ncores().values())
    assert client.nthreads() == {address: worker["nthreads"] for address, worker in info["workers"].items()}
    future = client.submit(inc, 12345)
    wait(future)
    holders = client.who_has(future)[future.key]
    assert len(holders) == 1
    assert future.key in client.has_what()[holders[0]]
    assert set(client.processing()) == set(info["workers"])
    assert futures_of([{"a": future}, (future, 3)]) == [future, future]
    assert "processes=2" in repr(client) and "workers=2" in repr(shared_cluster)
    assert client._repr_html_() and shared_cluster._repr_html_()
    client.wait_for_workers(2, timeout=10)
    with pytest.raises(TimeoutError, match="2/3"):
        client.wait_for_workers(3, timeout=0.05)


def test_run_and_workers(client):
    pids = client.run(os.getpid)
    assert len(pids) == 2 and len(set(pids.values())) == 2 and os.getpid() not in pids.values()
    address = next(iter(pids))
    name = client.scheduler_info()["workers"][address]["name"]
    # A worker is called by its name, or by its address.
    for called in (name, address, address.split("://")[1]):
        futures = [client.submit(os.getpid, workers=[called], pure=False) for _ in range(10)]
        assert set(client.gather(futures)) == {pids[address]}


def test_a_second_client_shares_results(client, shared_cluster):
    future = client.submit(inc, 777)
    assert future.result() == 778
    with Client(shared_cluster.scheduler_address, set_as_default=False) as other:
        same = other.submit(inc, 777)
        assert same.key == future.key and same.result() == 778
    assert default_client() is client


def test_a_wrong_secret_is_refused(shared_cluster, tmp_path):
    wrong = tmp_path / "secret"
    wrong.write_text("0" * 64)
    address = "unix://" + str(shared_cluster._handle.folder) + "/./scheduler"
    with pytest.raises(PermissionError, match="secret"):
        Client(address, secret_file=str(wrong))
    with Client(address) as client:
        assert client.submit(inc, 1).result() == 2


def test_nobody_at_the_address():
    with pytest.raises(OSError, match="nowhere"):
        Client("unix:///tmp/nowhere/scheduler")
    with pytest.raises(ValueError, match="not an address"):
        Client("nonsense", secret_file=os.devnull)


def test_bad_arguments_of_clusters():
    with pytest.raises(ValueError, match="threads_per_worker"):
        LocalCluster(n_workers=1, threads_per_worker=0)
    with pytest.raises(TypeError, match="n_worker"):
        LocalCluster(n_worker=1)
    with pytest.raises(TypeError, match="async with"), Client(asynchronous=True, n_workers=1, processes=False):
        pass


def test_nothing_is_left_behind():
    with Client(n_workers=2, threads_per_worker=1) as client:
        children = list(client.run(os.getpid).values())
        agents = list(client.cluster.worker_pids.values())
        folder = client.cluster._handle.folder
        assert len(agents) == 2 and all(map(is_alive, agents + children)) and os.path.isdir(folder)
    assert not os.path.exists(folder)
    assert not any(map(is_alive, agents))
    eventually(lambda: not any(map(is_alive, children)))
    assert client.status == "closed" and "closed" in repr(client)


def test_ctrl_c_returns_at_once_and_leaves_nothing():
    import subprocess
    import sys

    script = """
import os, signal, time
from oxidask.distributed import Client
# A shell that starts tests in the background makes them ignore interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
with Client(n_workers=1, threads_per_worker=1) as client:
    pids = list(client.run(os.getpid).values()) + list(client.cluster.worker_pids.values())
    future = client.submit(time.sleep, 60)
    print(*pids, flush=True)
    future.result()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    pids = process.stdout.readline().split()
    assert all(map(is_alive, pids))
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    assert time.monotonic() - begin < 10, "a task of a minute was not waited for"
    eventually(lambda: not any(map(is_alive, pids)))


def test_nothing_is_left_behind_when_the_parent_is_killed(tmp_path):
    import subprocess
    import sys

    script = """
import os, sys, time
from oxidask.distributed import Client
client = Client(n_workers=1, threads_per_worker=1)
pids = list(client.run(os.getpid).values()) + list(client.cluster.worker_pids.values())
print(client.cluster._handle.folder, *pids, flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    folder, *pids = process.stdout.readline().split()
    assert os.path.isdir(folder)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    eventually(lambda: not os.path.exists(folder) and not any(map(is_alive, pids)))


def test_a_forked_child_leaves_the_cluster_alone(own_client):
    child = os.fork()
    if child == 0:
        # Whatever happens, the child must not go on with the tests.
        try:
            alone = delayed(os.getpid)().compute(scheduler="sync") == os.getpid()
            without = oxidask.distributed.current_executor() is None
            own_client.cluster.close()
            os._exit(0 if alone and without else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert own_client.submit(inc, 1).result(timeout=10) == 2


def test_work_of_a_killed_worker_is_done_again(own_client):
    futures = own_client.map(slow_inc, range(100))
    total = own_client.submit(sum, futures)
    eventually(lambda: sum(future.done() for future in futures) > 10)
    pids = own_client.cluster.worker_pids
    os.kill(pids["0"], signal.SIGKILL)
    assert total.result(timeout=60) == sum(range(1, 101))
    assert own_client.gather(futures) == list(range(1, 101))
    eventually(lambda: len(own_client.nthreads()) == 2)
    assert own_client.cluster.worker_pids["0"] != pids["0"]


def test_a_scattered_value_lost_with_its_worker_says_so(own_client):
    address = next(iter(own_client.nthreads()))
    value = own_client.scatter(123, workers=[address])
    eventually(lambda: own_client.who_has(value)[value.key] == (address,))
    name = own_client.scheduler_info()["workers"][address]["name"]
    os.kill(own_client.cluster.worker_pids[name], signal.SIGKILL)
    with pytest.raises(KilledWorker, match="lost"):
        own_client.submit(inc, value, pure=False).result(timeout=30)


@pytest.mark.parametrize("how", ["exit", "segfault", "kill"])
def test_a_task_that_kills_its_process_is_given_up(own_client, how):
    def die(how):
        if how == "exit":
            os._exit(3)
        if how == "segfault":
            import ctypes

            ctypes.string_at(0)
        os.kill(os.getpid(), signal.SIGKILL)

    agents = own_client.cluster.worker_pids
    good = own_client.map(inc, range(50))
    bad = own_client.submit(die, how)
    with pytest.raises(KilledWorker, match="die"):
        bad.result(timeout=60)
    assert own_client.gather(good) == list(range(1, 51))
    assert own_client.cluster.worker_pids == agents, "the workers themselves live on"


def test_memory_limit_spills(tmp_path):
    with Client(n_workers=1, threads_per_worker=1, memory_limit="20 MB", local_directory=str(tmp_path)) as client:
        futures = client.map(lambda i: np.full(125_000, i), range(60))
        wait(futures)

        def metrics():
            return next(iter(client.scheduler_info()["workers"].values()))["metrics"]

        eventually(lambda: metrics()["spilled_bytes"] > 30e6 and metrics()["managed_bytes"] <= 20e6)
        for i, future in enumerate(futures):
            assert (future.result() == i).all()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["mine", "a-long-name" * 10])
def test_a_local_directory_is_made_if_need_be_and_left_empty(tmp_path, name):
    folder = tmp_path / "scratch" / name
    with Client(n_workers=1, threads_per_worker=1, local_directory=str(folder)) as client:
        assert client.submit(inc, 1).result() == 2
        assert list(folder.iterdir())
    assert not list(folder.iterdir())


def test_scale(own_client):
    futures = own_client.map(inc, range(40))
    wait(futures)
    own_client.cluster.scale(1)
    eventually(lambda: len(own_client.nthreads()) == 1)
    assert own_client.gather(futures) == list(range(1, 41))
    own_client.cluster.scale(2)
    own_client.wait_for_workers(2, timeout=30)


def test_processes_false_runs_in_this_process():
    with Client(n_workers=1, threads_per_worker=2, processes=False) as client:
        assert client.submit(os.getpid).result() == os.getpid()
        box = []
        client.submit(box.append, 1).result()
        assert client.gather(client.map(inc, range(100))) == list(range(1, 101))


def test_a_timeout_tells_what_the_result_waits_for(client):
    wanting = client.submit(inc, 1, resources={"unobtainium": 1})
    with pytest.raises(TimeoutError, match="a worker with unobtainium=1; none such is there"):
        wanting.result(timeout=0.1)
    behind = client.submit(inc, wanting)
    with pytest.raises(TimeoutError, match="one of which is this(.|\n)*unobtainium"):
        behind.exception(timeout=0.1)
    client.cancel([wanting, behind])


def test_closing_loses_pending_futures_and_says_so(own_client):
    future = own_client.submit(slow_inc, 1, 5)
    own_client.close()
    with pytest.raises(ClosedError, match="closed"):
        future.result(timeout=10)
    with pytest.raises(ClosedError, match="closed"):
        own_client.submit(inc, 1)


def test_tcp():
    with LocalCluster(n_workers=2, threads_per_worker=1, protocol="tcp") as cluster:
        assert cluster.scheduler_address.startswith("tcp://127.0.0.1:")
        with Client(cluster.scheduler_address) as client:
            assert client.submit(sum, client.map(inc, range(10))).result() == 55


def test_shutdown(shared_cluster):
    client = Client(n_workers=1, processes=False)
    client.shutdown()
    assert client.status == "closed" and client.cluster.status == "closed"
