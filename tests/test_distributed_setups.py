"""Plugins and files reach every process that runs tasks, whenever it is started."""

import logging
import os
import shutil
import threading
import time

import pytest
from oxidask.distributed import Client, CondaInstall, Environ, InstallPlugin, PipInstall, UploadFile, WorkerPlugin


@pytest.fixture(params=[True, False], ids=["processes", "threads"])
def client(request):
    with Client(n_workers=1, threads_per_worker=2, processes=request.param) as client:
        yield client


class Marked(WorkerPlugin):
    name = "marked"

    def __init__(self, mark):
        self.mark = mark

    def setup(self, worker):
        worker.mark = self.mark

    def teardown(self, worker):
        del worker.mark


def mark_of(_=None):
    from oxidask.distributed import get_worker

    return os.getpid(), getattr(get_worker(), "mark", None)


def slow_mark(number):
    time.sleep(0.02)
    return mark_of()


def test_a_plugin_reaches_all_processes_of_a_worker(client):
    # Both processes run before anything is registered.
    client.gather(client.map(slow_mark, range(8), pure=False))
    answers = client.register_plugin(Marked("one"))
    assert list(answers.values()) == [{"status": "OK"}]
    marks = client.gather(client.map(slow_mark, range(20), pure=False))
    assert {mark for _, mark in marks} == {"one"}
    client.register_plugin(Marked("two"))
    marks = client.gather(client.map(slow_mark, range(20), pure=False))
    assert {mark for _, mark in marks} == {"two"}
    client.unregister_worker_plugin("marked")
    marks = client.gather(client.map(slow_mark, range(20), pure=False))
    assert {mark for _, mark in marks} == {None}


def test_a_plugin_reaches_workers_that_come_later(client):
    client.register_plugin(Marked("one"))
    client.register_plugin(Marked("two"))
    client.cluster.scale(2)
    client.wait_for_workers(2, timeout=60)
    assert client.submit(mark_of, workers=["1"]).result()[1] == "two"


def test_a_plugin_reaches_workers_that_began_anew():
    with Client(n_workers=1, threads_per_worker=1) as client:
        client.register_plugin(Marked("one"))
        before, mark = client.submit(mark_of, pure=False).result()
        client.restart(timeout=60)
        after, same = client.submit(mark_of, pure=False).result()
        assert before != after and mark == same == "one"


def test_an_idempotent_plugin_stays(client):
    client.register_plugin(Marked("one"))
    answers = client.register_plugin(Marked("two"), idempotent=True)
    assert list(answers.values()) == [{"status": "repeat"}]
    assert client.submit(mark_of).result()[1] == "one"


def test_a_plugin_that_fails_is_told_and_forgotten(client):
    class Broken(WorkerPlugin):
        name = "broken"

        def setup(self, worker):
            raise OSError("no such device")

    with pytest.raises(OSError, match="no such device"):
        client.register_plugin(Broken())
    client.cluster.scale(2)
    client.wait_for_workers(2, timeout=60)
    assert client.submit(abs, -1, workers=["1"]).result() == 1


def test_a_module_is_uploaded_to_all_and_replaced(client, tmp_path):
    module = tmp_path / "uploaded_numbers.py"
    module.write_text("N = 1\n")
    answers = client.upload_file(str(module))
    assert list(answers.values()) == [{"status": "OK", "nbytes": 6}]

    def number(_):
        import time

        import uploaded_numbers

        time.sleep(0.02)
        return uploaded_numbers.N

    assert set(client.gather(client.map(number, range(8), pure=False))) == {1}
    module.write_text("N = 22\n")
    client.upload_file(str(module))
    assert set(client.gather(client.map(number, range(8), pure=False))) == {22}
    client.cluster.scale(2)
    client.wait_for_workers(2, timeout=60)
    assert client.submit(number, 0, workers=["1"], pure=False).result() == 22
    assert UploadFile(str(module)).name == "upload-file-uploaded_numbers.py"


def test_variables_of_the_environment_are_set_in_all_processes(client):
    client.gather(client.map(slow_mark, range(8), pure=False))
    client.register_plugin(Environ({"OXIDASK_TEST_MARK": 3}))

    def look(_):
        time.sleep(0.02)
        return os.environ.get("OXIDASK_TEST_MARK")

    try:
        assert set(client.gather(client.map(look, range(10), pure=False))) == {"3"}
    finally:
        os.environ.pop("OXIDASK_TEST_MARK", None)


def test_callbacks_run_once_in_each_process(client):
    client.register_worker_callbacks(setup=_count)
    counts = client.gather(client.map(_counted, range(10), pure=False))
    assert set(counts) == {1}
    with pytest.raises(ZeroDivisionError):
        client.register_worker_callbacks(setup=lambda: 1 / 0)


def test_what_is_installed_is_installed_once_on_a_worker(client, tmp_path):
    path = str(tmp_path / "installed")

    def install():
        with open(path, "a") as file:
            file.write("x")

    client.gather(client.map(slow_mark, range(8), pure=False))
    client.register_plugin(InstallPlugin(install))
    client.gather(client.map(slow_mark, range(8), pure=False))
    with open(path) as file:
        assert file.read() == "x"
    if shutil.which("conda") is None:
        with pytest.raises(RuntimeError, match="conda is not there"):
            client.register_plugin(CondaInstall(["numpy"]))
    with pytest.raises(RuntimeError, match="pip install failed"):
        client.register_plugin(PipInstall(["x"], pip_options=["--no-such-option"]))


def _count(dask_worker):
    dask_worker.count = getattr(dask_worker, "count", 0) + 1


def _counted(_):
    from oxidask.distributed import get_worker

    time.sleep(0.01)
    return get_worker().count


class Locked(WorkerPlugin):
    """Makes something in its setup that cannot be pickled."""

    name = "locked"

    def setup(self, worker):
        self.lock = threading.RLock()
        worker.lock = self


def is_locked(_=None):
    from oxidask.distributed import get_worker

    return get_worker().lock.lock is not None


def test_a_plugin_may_hold_what_cannot_travel_once_it_is_set_up(client):
    # The processes of the worker are there already.
    assert client.gather(client.map(slow_mark, range(4), pure=False))
    for _ in range(2):
        assert list(client.register_plugin(Locked()).values()) == [{"status": "OK"}]
    assert all(client.gather(client.map(is_locked, range(8), pure=False)))


class Broken(WorkerPlugin):
    name = "broken"

    def teardown(self, worker):
        raise ValueError("cannot end")


def test_what_fails_in_a_plugin_is_logged(caplog):
    with Client(n_workers=1, threads_per_worker=1, processes=False) as client:
        client.register_plugin(Broken())
        with (
            caplog.at_level(logging.ERROR, "oxidask.distributed.worker"),
            pytest.raises(ValueError, match="cannot end"),
        ):
            client.unregister_worker_plugin("broken")
    assert "broken failed to teardown" in caplog.text
