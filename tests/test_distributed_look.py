"""Looking into workers: stacks, profiles, logs, where time went; and tasks that ask to run elsewhere."""

import fractions
import itertools
import logging
import time
import traceback

import pytest
from oxidask import _profile, config
from oxidask.distributed import (
    CancelledError,
    Client,
    Event,
    Queue,
    Reschedule,
    Semaphore,
    get_worker,
    performance_report,
    wait,
)


@pytest.fixture(params=[True, False], ids=["processes", "threads"])
def client(request):
    with Client(n_workers=2, threads_per_worker=1, processes=request.param) as client:
        yield client


def spin(seconds):
    stop = time.monotonic() + seconds
    while time.monotonic() < stop:
        pass


def spin_within(seconds):
    spin(seconds)


def wait_there(begun, go):
    begun.set()
    return go.wait(60)


def test_a_stack_tells_where_a_task_is(client):
    begun, other, go = Event(), Event(), Event()
    future = client.submit(wait_there, begun, go, key="here", workers=["1"])
    second = client.submit(wait_there, other, go, key="there", workers=["0"])
    assert begun.wait(60) and other.wait(60)
    deadline = time.monotonic() + 60
    while True:
        stacks = client.call_stack(future)
        ((address, by_key),) = stacks.items()
        # It may still be on its way back from telling that it began.
        if "begun.set()" not in by_key["here"][-1] or time.monotonic() > deadline:
            break
    assert client.scheduler_info()["workers"][address]["name"] == "1"
    assert list(by_key) == ["here"] and "in wait_there" in by_key["here"][-1] and "go.wait(60)" in by_key["here"][-1]
    assert client.call_stack(keys=["here"]) == stacks
    assert {key for stacks in client.call_stack().values() for key in stacks} == {"here", "there"}
    assert client.call_stack(keys=["nowhere"]) == {} and client.call_stack([]) == {}
    go.set()
    assert client.gather([future, second]) == [True, True]
    assert client.call_stack() == {}


def test_a_profile_tells_what_functions_called(client, tmp_path):
    begin = time.time()
    wait([client.submit(spin_within, 0.5, workers=["0"]), client.submit(spin, 0.4, workers=["1"])])
    profile = client.profile()
    calls = {call["description"]["name"]: call for call in profile["children"].values()}
    assert {"spin_within", "spin"} <= set(calls)
    (inner,) = calls["spin_within"]["children"].values()
    assert inner["description"]["name"] == "spin" and inner["description"]["filename"] == __file__
    assert inner["count"] <= calls["spin_within"]["count"] <= profile["count"]
    assert client.profile("spin")["count"] == calls["spin"]["count"]
    assert client.profile("nothing") == _profile.empty() == client.profile(server=True)
    assert client.profile(start=time.time() + 60)["count"] == 0 == client.profile(stop=begin - 60)["count"]
    apart = client.profile(merge_workers=False)
    assert set(apart) == set(client.nthreads())
    assert sum(one["count"] for one in apart.values()) == profile["count"]
    path = tmp_path / "profile.html"
    again, chart = client.profile(plot=True, filename=str(path))
    assert again["count"] == profile["count"]
    assert chart in path.read_text() and "<title>spin_within: " in chart


@pytest.mark.parametrize("processes", [True, False])
def test_no_profile_is_kept_where_that_is_not_wanted(processes):
    settings = {"distributed.worker.profile.enabled": False}
    with config.set(settings), Client(n_workers=1, threads_per_worker=1, processes=processes) as client:
        client.submit(spin, 0.2).result()
        assert client.profile()["count"] == 0


def test_old_stretches_of_a_profile_are_put_together(monkeypatch):
    monkeypatch.setattr(_profile, "_seen", {})
    for second in range(5000):
        _profile._current("here", float(second))["count"] += 1
    stretches = _profile._seen["here"]
    assert len(stretches) <= _profile._STRETCHES
    assert all(one[1] <= other[0] + 1e-9 for one, other in itertools.pairwise(stretches))
    assert _profile.profile("here")["count"] == 5000
    assert _profile.profile("here", start=4990.0)["count"] == 10


def test_logs_of_workers_come_to_whoever_asks(client):
    def note(text):
        logging.getLogger("distributed.worker").warning(text)

    client.submit(note, "first", workers=["0"]).result()
    client.submit(note, "second", workers=["0"]).result()
    (lines,) = client.get_worker_logs(n=2, workers=["0"]).values()
    assert [(level, line.rsplit(" - ", 1)[1]) for level, line in lines] == [("WARNING", "second"), ("WARNING", "first")]
    assert set(client.get_worker_logs(nanny=True).values()) == {()} == {client.get_scheduler_logs()}
    logs = client.cluster.get_logs()
    assert "second" in "".join(logs.values()) and "<details>" in logs._repr_html_()


def test_a_report_tells_where_time_went(client, tmp_path):
    path = tmp_path / "report.html"
    with performance_report(str(path)) as report:
        wait(client.map(spin, [0.05] * 8, pure=False))
    workers = report.overhead["workers"].values()
    assert sum(worker["tasks"] for worker in workers) == 8
    assert 0.4 <= sum(worker["compute"] for worker in workers) < 2 * report.overhead["seconds"] + 0.1
    assert 0 < report.overhead["scheduler"] < report.overhead["seconds"]
    shares = ("compute", "gil", "child", "input", "load", "idle")
    for worker in workers:
        spent = sum(worker[share] for share in shares)
        assert spent == pytest.approx(worker["elapsed"] * worker["threads"], rel=0.3, abs=0.1)
    text = path.read_text()
    assert "8 tasks in" in text and "waiting for the GIL" in text and "spin" in text


def test_a_task_that_asks_for_it_runs_on_another_worker(client):
    def only_on(name):
        if get_worker().name != name:
            raise Reschedule
        return name

    assert client.gather(client.map(only_on, ["0", "1"] * 5, pure=False)) == ["0", "1"] * 5


def test_asking_to_run_elsewhere_does_not_count_as_a_failure(client):
    tries = Semaphore(100, name="tries")

    def third_time():
        tries.acquire()
        if tries.get_value() < 5:
            raise Reschedule("not yet")
        raise OSError("in earnest")

    future = client.submit(third_time)
    assert isinstance(future.exception(), OSError)
    assert tries.get_value() == 5


def test_what_a_caller_was_interrupted_over_goes_back(client, monkeypatch):
    queue = Queue("numbers")
    queue.put(1)
    queue.put(2)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("oxidask.distributed._queue.loads", interrupted)
        with pytest.raises(KeyboardInterrupt):
            queue.get(timeout=60)
    assert [queue.get(timeout=60), queue.get(timeout=60)] == [1, 2]


def fails_within(x):
    return fails(x)


def fails(x):
    return 1 / x


def test_a_task_of_the_cluster_runs_here_for_whoever_looks_into_it(client):
    zero = client.submit(int, "0")
    ratio = client.submit(fails_within, zero)
    later = client.submit(str, ratio)
    wait(later)
    for future in (ratio, later):
        with pytest.raises(ZeroDivisionError) as failure:
            client.recreate_error_locally(future)
        # Its own frames, with the variables in them.
        frame = failure.traceback[-1].frame
        assert frame.code.name == "fails" and frame.f_locals == {"x": 0}
    assert client.recreate_task_locally(client.submit(sum, [client.submit(abs, -1), 2])) == 3
    assert client.recreate_task_locally(client.map(abs, range(-3, 0))[0]) == 3
    with pytest.raises(ValueError, match="No errored futures passed"):
        client.recreate_error_locally(zero)
    with pytest.raises(ValueError, match="a value that a client brought"):
        client.recreate_task_locally(client.scatter(7))


def test_a_traceback_of_another_process_tells_its_lines(client):
    future = client.submit(fails_within, 0)
    frames = traceback.extract_tb(future.traceback())
    assert [frame.name for frame in frames[-2:]] == ["fails_within", "fails"]
    assert frames[-1].line == "return 1 / x" and frames[-1].filename == __file__
    assert client.submit(fails, 1).traceback() is None


def test_copies_are_given_up_on_request(client):
    data = client.scatter({"a": 1}, broadcast=True, hash=False)
    assert [len(holders) for holders in client.who_has(list(data.values())).values()] == [2]
    assert client.amm.running()
    client.amm.stop()
    assert not client.amm.running()
    client.amm.run_once()
    assert [len(holders) for holders in client.who_has(list(data.values())).values()] == [1]
    client.amm.start()
    assert client.amm.running() and client.gather(data) == {"a": 1}


def test_a_future_is_shown_with_the_type_of_its_result(client):
    one = client.submit(abs, -1, key="one")
    assert one.result() == 1 and repr(one) == "<Future: finished, type: int, key: one>"
    assert "type: fractions.Fraction" in repr(client.scatter(fractions.Fraction(1, 2)))
    failed = client.submit(divmod, 1, 0, key="failed")
    failed.exception()
    assert repr(failed) == "<Future: error, key: failed>"


def test_a_cancelled_future_says_which(client):
    never = client.submit(Event("never").wait, 60, key="never-done")
    client.cancel(never)
    with pytest.raises(CancelledError, match="never-done"):
        never.result()
    with pytest.raises(CancelledError, match="never-done"):
        client.gather(never)
    other = client.submit(Event("never").wait, 61, key="not-wanted")
    other.cancel(reason="too late")
    with pytest.raises(CancelledError, match="not-wanted.*too late"):
        other.result()


def test_the_scheduler_tells_of_itself_and_its_workers(client):
    info = client.scheduler_info()
    assert time.time() - 600 < info["started"] < time.time()
    assert info["total_memory"] == sum(worker["memory_limit"] for worker in info["workers"].values())
    for address, worker in info["workers"].items():
        assert worker["status"] == "running" and worker["type"] == "Worker" and worker["host"] == "127.0.0.1"
        assert time.time() - 60 < worker["last_seen"] <= time.time()
        assert worker["address"] == address and worker["metrics"]["memory"] == worker["metrics"]["process_bytes"]
