"""Clusters whose workers are described one by one, and what local clusters are told."""

import os
import socket
import subprocess
import sys
import threading
import time

import pytest
from oxidask import config
from oxidask.distributed import Client, LocalCluster, Nanny, ProcessInterface, Scheduler, SpecCluster, Worker

THREADS = {"cls": Worker, "options": {"nthreads": 1}}


class Launched(ProcessInterface):
    """A launcher that starts workers by the command, as those of batch systems do."""

    def __init__(self, scheduler, name, nthreads=1):
        super().__init__(scheduler, name)
        self.nthreads = nthreads

    async def start(self):
        command = [sys.executable, "-m", "oxidask.cli", "worker", "--scheduler-file", self.scheduler_file]
        command += ["--name", str(self.name), "--nthreads", str(self.nthreads), "--memory-limit", "100MB"]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.status = "running"

    async def close(self):
        self.process.terminate()
        self.process.wait(30)
        self.status = "closed"


def test_a_cluster_grows_and_shrinks_by_its_description():
    spec = {"a": THREADS, "b": {"cls": Worker, "options": {"nthreads": 2, "resources": {"GPU": 1}}}}
    with SpecCluster(spec, worker=THREADS, name="mine") as cluster, Client(cluster) as client:
        client.wait_for_workers(2, timeout=60)
        assert sorted(client.nthreads().values()) == [1, 2]
        assert cluster.name == "mine" and cluster.plan == cluster.requested == {"a", "b"}
        assert cluster.observed == {"a", "b"}
        assert client.submit(abs, -1, resources={"GPU": 1}).result(timeout=30) == 1
        kept = client.scatter([1, 2, 3], workers=["b"], hash=False)
        cluster.scale(4)
        client.wait_for_workers(4, timeout=60)
        assert set(cluster.workers) == {"a", "b", 0, 1}
        cluster.scale_down(["b"])
        assert cluster.plan == {"a", 0, 1} and client.gather(kept) == [1, 2, 3]
        cluster.scale(1)
        assert cluster.plan == {"a"} and client.gather(kept) == [1, 2, 3]
    assert cluster.status == "closed" and repr(cluster) == "SpecCluster(closed)"


def test_processes_and_a_launcher():
    spec = {"nanny": {"cls": Nanny, "options": {"nthreads": 1}}, "launched": {"cls": Launched}}
    with SpecCluster(spec, scheduler={"cls": Scheduler, "options": {"dashboard_address": ":0"}}) as cluster:
        with Client(cluster) as client:
            client.wait_for_workers(2, timeout=60)
            pids = {client.submit(os.getpid, workers=[name], pure=False).result(60) for name in ("nanny", "launched")}
            assert len(pids) == 2 and os.getpid() not in pids
            assert cluster.dashboard_link.startswith("http://127.0.0.1:") and client.dashboard_link
            launched = cluster.workers["launched"]
            assert os.stat(cluster._scheduler_file).st_mode & 0o777 == 0o600
        with pytest.raises(ValueError, match="cannot grow"):
            cluster.scale(3)
    assert launched.status == "closed" and launched.process.returncode is not None
    assert not os.path.exists(cluster._scheduler_file)


def test_a_described_cluster_adapts():
    with SpecCluster(worker=THREADS) as cluster, Client(cluster) as client:
        cluster.adapt(minimum_cores=1, maximum=2, interval="10ms", wait_count=1)
        assert sum(client.gather(client.map(abs, range(20)))) == 190


def test_mistakes_in_descriptions():
    with pytest.raises(TypeError, match="a worker has no option 'threads'"):
        SpecCluster({0: {"cls": Worker, "options": {"threads": 1}}})
    with pytest.raises(TypeError, match="a scheduler has no option 'prot'"):
        SpecCluster(scheduler={"cls": Scheduler, "options": {"prot": 1}})
    with pytest.raises(NotImplementedError, match="'here'"):
        SpecCluster.from_name("here")


def test_coroutines_use_described_clusters():
    import asyncio

    async def main():
        async with SpecCluster({0: THREADS}, asynchronous=True) as cluster:
            async with Client(cluster, asynchronous=True) as client:
                return await client.submit(abs, -2)

    assert asyncio.run(main()) == 2


def test_pages_of_a_local_cluster():
    import urllib.request

    with LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster, Client(cluster) as client:
        link = cluster.dashboard_link
        assert client.dashboard_link == link and link in client._repr_html_() and link in cluster._repr_html_()
        assert urllib.request.urlopen(f"{link}health", timeout=10).read() == b"ok"
        port = link.rsplit(":", 1)[1].strip("/")
        with pytest.warns(UserWarning, match="is taken"):
            second = LocalCluster(n_workers=0, processes=False, dashboard_address=port)
        with second:
            assert second.dashboard_link not in ("", link)
    with LocalCluster(n_workers=0, processes=False) as cluster:
        assert cluster.dashboard_link == ""
    with pytest.raises(ValueError, match="dashboard_address is 'nowhere'"):
        LocalCluster(dashboard_address="nowhere")


def test_settings_and_preloads_reach_the_processes(tmp_path, monkeypatch):
    (tmp_path / "preloaded_numbers.py").write_text("import os\nos.environ['OXIDASK_TEST_PRELOADED'] = '1'\n")
    with config.set({"some.setting": {"deep": [1, 2]}}):
        with Client(n_workers=1, threads_per_worker=1, preload=[str(tmp_path / "preloaded_numbers.py")]) as client:
            assert client.submit(config.get, "some.setting").result() == {"deep": [1, 2]}
            assert client.submit(os.getenv, "OXIDASK_TEST_PRELOADED").result() == "1"


def test_a_client_waits_for_a_scheduler_that_is_about_to_start(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = []
    # The client must find it by its address and secret alone, as other processes do.
    later = threading.Timer(0.3, lambda: started.append(_late(port, tmp_path / "scheduler.json")))
    later.start()
    try:
        with pytest.raises(PermissionError, match=f"the secret of the cluster at tcp://127.0.0.1:{port} is not known"):
            Client(f"127.0.0.1:{port}", timeout="30s")
        later.join(30)
        with Client(scheduler_file=str(tmp_path / "scheduler.json")) as client:
            assert client.scheduler_info()["n_workers"] == 0
    finally:
        later.join(30)
        for scheduler in started:
            scheduler.close()
    begin = time.monotonic()
    with pytest.raises(OSError, match=f"127.0.0.1:{port} within 0.3 s"):
        Client(f"127.0.0.1:{port}", timeout=0.3)
    assert time.monotonic() - begin < 10


def _late(port, file):
    from oxidask import _oxidask

    return _oxidask.SchedulerHandle(f"tcp://127.0.0.1:{port}", scheduler_file=str(file))


def test_arguments_of_local_clusters():
    with LocalCluster(n_workers=2, threads_per_worker=3, processes=False, host="127.0.0.1", silence_logs=30) as cluster:
        assert cluster.scheduler_address.startswith("tcp://127.0.0.1:")
        assert [worker.nthreads for worker in cluster.workers.values()] == [3, 3]
        assert set(cluster.workers) == {0, 1} and cluster.workers[0].name == "0"
        cluster.scale(cores=3)
        assert cluster._n_workers == 1
    with pytest.raises(ValueError, match="listens on this machine alone, not at 10.0.0.1"):
        LocalCluster(host="10.0.0.1")
    with pytest.raises(TypeError, match="'n_wrokers'"):
        LocalCluster(n_wrokers=1)
