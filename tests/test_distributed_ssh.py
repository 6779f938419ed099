"""Clusters over ssh, with a stand-in for ssh that runs the command here."""

import os
import stat
import sys
import time

import pytest
from oxidask.distributed import Client, SSHCluster, get_worker

#: Writes down its arguments and runs the last one, as a login shell would.
_SSH = """#!/bin/sh
echo "$@" | head -n 1 >> "{log}"
for word; do last=$word; done
exec /bin/sh -c "$last"
"""


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    """A folder on the path with a stand-in for ssh; answers the file of what it was asked."""
    program, log = tmp_path / "ssh", tmp_path / "log"
    program.write_text(_SSH.format(log=log))
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return log


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_cluster_over_ssh_works_and_ends(ssh):
    options = {"nthreads": 1, "memory_limit": "200MB", "resources": {"GPU": 1}}
    connection = {"username": "somebody", "port": 2222, "known_hosts": None}
    hosts = ["localhost", "localhost", "127.0.0.1"]
    with SSHCluster(hosts, connection, options, {"dashboard_address": "127.0.0.1:0"}) as cluster:
        with Client(cluster) as client:
            client.wait_for_workers(2, timeout=60)
            names = {client.submit(lambda: get_worker().name, workers=[name]).result(timeout=60) for name in "01"}
            assert names == {"0", "1"}
            assert client.submit(abs, -1, resources={"GPU": 1}).result(timeout=60) == 1
            info = client.scheduler_info()
            pids = [info["pid"], *(worker["pid"] for worker in info["workers"].values())]
            assert all(worker["nthreads"] == 1 for worker in info["workers"].values())
            assert all(is_alive(pid) for pid in pids)
        secret = cluster._secret
    deadline = time.monotonic() + 30
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "programs live on"
        time.sleep(0.05)
    asked = ssh.read_text()
    assert asked.count("-l somebody -p 2222 -o StrictHostKeyChecking=no") == 3
    # Others on that machine can read what programs are called with.
    assert secret not in asked


def test_what_cannot_be_started_says_why(ssh):
    with pytest.raises(OSError, match="nowhere-to-be-found"):
        SSHCluster(["localhost", "localhost"], remote_python="nowhere-to-be-found")
    with pytest.raises(OSError, match="no_such_option|no-such-option"):
        SSHCluster(["localhost", "localhost"], scheduler_options={"no_such_option": 1})


def test_arguments_are_checked(ssh, monkeypatch):
    with pytest.raises(ValueError, match="at least one worker"):
        SSHCluster(["localhost"])
    with pytest.raises(TypeError, match="'password'"):
        SSHCluster(["localhost", "localhost"], {"password": "12345"})
    with pytest.raises(ValueError, match="connect_options has 1 elements for 2 hosts"):
        SSHCluster(["localhost", "localhost"], [{}])
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    with pytest.raises(OSError, match="no program 'ssh'"):
        SSHCluster(["localhost", "localhost"])
