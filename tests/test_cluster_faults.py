"""Faults that need a network or a disk of their own: partitions, full disks."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

PATIENCE = 60


def _can(*command):
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_networks = pytest.mark.skipif(
    not (_can("unshare", "-Urn", "true") and shutil.which("ip") and shutil.which("nsenter")),
    reason="this machine permits no network namespaces, or has no ip and nsenter",
)
needs_mounts = pytest.mark.skipif(
    not _can("unshare", "-Urm", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"),
    reason="this machine permits no mount namespaces",
)


@contextlib.contextmanager
def running(command, **options):
    """A process with its output on a pipe, killed in the end."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def oxidask(*args, **settings):
    """The command line of oxidask, and its environment."""
    environment = dict(os.environ, **settings)
    return [sys.executable, "-m", "oxidask.cli", *args], environment


def wait_until(is_so, what):
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what}"
        time.sleep(0.02)


class Network:
    """Two network namespaces with a wire between them."""

    def __init__(self, stack):
        self.here = stack.enter_context(running(["unshare", "-Urn", "sleep", "600"])).pid
        own = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink(f"/proc/{self.here}/ns/net") != own, "the first namespace is there")
        self.there = stack.enter_context(running(self.inside(self.here, "unshare", "-n", "sleep", "600"))).pid
        first = os.readlink(f"/proc/{self.here}/ns/net")
        wait_until(lambda: os.readlink(f"/proc/{self.there}/ns/net") not in (own, first), "the second one is there")
        self.run(self.here, "ip link add w0 type veth peer name w1")
        self.run(self.here, f"ip link set w1 netns {self.there}")
        for pid, name, address in [(self.here, "w0", "192.0.2.1/24"), (self.there, "w1", "192.0.2.2/24")]:
            self.run(pid, "ip link set lo up")
            self.run(pid, f"ip addr add {address} dev {name}")
            self.run(pid, f"ip link set {name} up")

    @staticmethod
    def inside(pid, *command):
        return ["nsenter", "-t", str(pid), "-U", "-n", "--preserve-credentials", *command]

    def run(self, pid, command):
        subprocess.run(self.inside(pid, *command.split()), check=True, capture_output=True)

    def cut(self):
        self.run(self.here, "ip link set w0 down")

    def mend(self):
        self.run(self.here, "ip link set w0 up")


CLIENT = """
import sys
from oxidask.distributed import Client

def slow(number):
    import time
    time.sleep(0.2)
    return number * number

with Client(scheduler_file=sys.argv[1]) as client:
    client.wait_for_workers(2, timeout=60)
    futures = client.map(slow, range(60), pure=False)
    # What lies in the part that is cut off is lost with it.
    client.gather(futures[:4])
    print("computing", flush=True)
    assert client.gather(futures) == [number * number for number in range(60)]
    names = [worker["name"] for worker in client.scheduler_info()["workers"].values()]
    print("computed", *sorted(map(str, names)), flush=True)
    sys.stdin.readline()
    client.wait_for_workers(2, timeout=60)
    assert client.gather(client.map(slow, range(10), pure=False)) == [number * number for number in range(10)]
    names = [worker["name"] for worker in client.scheduler_info()["workers"].values()]
    print("joined", *sorted(map(str, names)), flush=True)
"""


@needs_networks
def test_a_worker_that_was_cut_off_comes_back_as_another(tmp_path):
    file = tmp_path / "scheduler.json"
    script = tmp_path / "client.py"
    script.write_text(CLIENT)
    settings = {"OXIDASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "2s"}
    with contextlib.ExitStack() as stack:
        network = Network(stack)

        def start(pid, command, environment, **options):
            return stack.enter_context(running(network.inside(pid, *command), env=environment, **options))

        start(
            network.here,
            *oxidask("scheduler", "--host", "192.0.2.1", "--port", "0", "--scheduler-file", str(file), **settings),
        )
        wait_until(lambda: file.exists() and "address" in json.loads(file.read_text() or "{}"), "the scheduler is up")
        for pid, name in [(network.here, "here"), (network.there, "there")]:
            host = "192.0.2.1" if name == "here" else "192.0.2.2"
            start(
                pid,
                *oxidask(
                    "worker",
                    "--scheduler-file",
                    str(file),
                    "--host",
                    host,
                    "--name",
                    name,
                    "--nthreads",
                    "1",
                    **settings,
                ),
            )
        client = start(
            network.here, [sys.executable, str(script), str(file)], dict(os.environ, **settings), stdin=subprocess.PIPE
        )
        assert client.stdout.readline() == "computing\n"
        network.cut()
        assert client.stdout.readline() == "computed here\n"
        network.mend()
        client.stdin.write("\n")
        client.stdin.flush()
        assert client.stdout.readline() == "joined here there\n"
        assert client.wait(PATIENCE) == 0


SPILLER = """
import sys
import numpy as np
from oxidask.distributed import Client

def block(number):
    return np.full(250_000, float(number))

with Client(scheduler_file=sys.argv[1]) as client:
    client.wait_for_workers(1, timeout=60)
    # Forty blocks of 2 MB: a limit of 20 MB, and a disk of 8 MB.
    futures = client.map(block, range(40), pure=False)
    sums = client.map(lambda block: float(block.sum()), futures, pure=False)
    assert client.gather(sums) == [250_000.0 * number for number in range(40)]
    for number, future in enumerate(futures):
        assert (future.result() == number).all()
    print("computed", flush=True)
"""


@needs_mounts
def test_a_full_spill_disk_costs_memory_and_no_result(tmp_path):
    file, disk, script = tmp_path / "scheduler.json", tmp_path / "disk", tmp_path / "client.py"
    disk.mkdir()
    script.write_text(SPILLER)
    settings = {
        # Nothing waits and nobody is ended for memory that cannot be spilled.
        "OXIDASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "false",
        "OXIDASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "false",
    }
    scheduler, environment = oxidask("scheduler", "--port", "0", "--scheduler-file", str(file), **settings)
    worker, _ = oxidask(
        "worker",
        "--scheduler-file",
        str(file),
        "--memory-limit",
        "20MB",
        "--local-directory",
        str(disk),
        "--nthreads",
        "1",
    )
    mounted = textwrap.dedent(
        """
        mount -t tmpfs -o size=8m none "$0" && exec "$@"
        """
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(running(scheduler, env=environment))
        wait_until(lambda: file.exists() and "address" in json.loads(file.read_text() or "{}"), "the scheduler is up")
        log = stack.enter_context(Path(tmp_path / "worker.log").open("w"))
        command = ["unshare", "-Urm", "sh", "-c", mounted, str(disk), *worker]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        stack.callback(process.wait)
        stack.callback(process.kill)
        done = subprocess.run(
            [sys.executable, str(script), str(file)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
        )
        assert done.stdout == "computed\n", done.stderr
        assert "results stay in memory" in (tmp_path / "worker.log").read_text()


SHUFFLE = """
import sys
import pandas
from oxidask.distributed import Client
from oxidask import dataframe

rows = 400_000
frame = pandas.DataFrame({"key": [number * 7919 % 1009 for number in range(rows)], "value": range(rows)})
with Client(scheduler_file=sys.argv[1]) as client:
    client.wait_for_workers(2, timeout=60)
    for round in range(3):
        plan = dataframe.from_pandas(frame, npartitions=24).shuffle("key", npartitions=24)
        sums = plan.map_partitions(lambda part: part.groupby("key").value.sum()).persist()
        print("running", flush=True)
        found = sums.compute().sort_index()
        expected = frame.groupby("key").value.sum()
        assert (found == expected).all() and len(found) == len(expected)
        print("equal", flush=True)
        sys.stdin.readline()
        client.wait_for_workers(2, timeout=60)
"""


def test_nannies_that_are_killed_within_a_shuffle_cost_no_result(tmp_path):
    file = tmp_path / "scheduler.json"
    script = tmp_path / "shuffle.py"
    script.write_text(textwrap.dedent(SHUFFLE))
    with contextlib.ExitStack() as stack:

        def start(*words):
            command, environment = oxidask(*words)
            return stack.enter_context(running(command, env=environment))

        def worker(name):
            return start("worker", "--scheduler-file", str(file), "--nthreads", "1", "--name", name)

        start("scheduler", "--port", "0", "--scheduler-file", str(file), "--no-dashboard")
        wait_until(file.exists, "the scheduler file is there")
        nannies = [worker("first"), worker("second")]
        client = stack.enter_context(running([sys.executable, str(script), str(file)], stdin=subprocess.PIPE))
        for round, delay in enumerate([0.0, 0.05, 0.2]):
            assert client.stdout.readline() == "running\n"
            time.sleep(delay)
            nannies.pop(0).kill()
            assert client.stdout.readline() == "equal\n", f"killed after {delay} s"
            nannies.append(worker(f"next {round}"))
            client.stdin.write("\n")
            client.stdin.flush()
        assert client.wait(PATIENCE) == 0
