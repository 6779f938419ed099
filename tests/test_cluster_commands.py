"""The commands ``oxidask scheduler`` and ``oxidask worker``, as processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from oxidask import _oxidask
from oxidask.cli import _common, main
from oxidask.cli.worker import _resources, _shares
from oxidask.distributed import Client


def eventually(is_so: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """Waits until something is so."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = is_so()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


@contextlib.contextmanager
def command(*words: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "oxidask.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        process.communicate()


def client_of(path: Path) -> _oxidask.ClientHandle:
    address, secret = _oxidask.read_scheduler_file(path)
    return _oxidask.ClientHandle(address, secret, "test", 10.0)


def info_of(path: Path) -> Any:
    return client_of(path).questions.info()


def workers_of(path: Path, n_workers: int) -> list[dict[str, Any]]:
    return eventually(
        lambda: (found := info_of(path)["workers"]) and len(found) == n_workers and found, f"{n_workers} workers"
    )


@pytest.fixture
def scheduler_file(tmp_path: Path) -> Path:
    return tmp_path / "scheduler.json"


def test_a_cluster_of_commands(scheduler_file: Path, tmp_path: Path) -> None:
    listen = ["--port", "0", "--scheduler-file", str(scheduler_file), "--dashboard-address", ":0"]
    with command("scheduler", *listen) as scheduler:
        assert scheduler.stdout is not None
        address = scheduler.stdout.readline().split()[-1]
        pages = scheduler.stdout.readline().split()[-1]
        assert address.startswith("tcp://127.0.0.1:")
        assert json.loads(scheduler_file.read_text())["address"] == address
        assert stat.S_IMODE(scheduler_file.stat().st_mode) == 0o600
        options = ["--nworkers", "2", "--nthreads", "1", "--name", "mine", "--resources", "GPU=2"]
        with command("worker", "--scheduler-file", str(scheduler_file), *options, "--local-directory", str(tmp_path)):
            workers = workers_of(scheduler_file, 2)
            assert sorted(worker["name"] for worker in workers) == ["mine-0", "mine-1"]
            with urllib.request.urlopen(f"{pages}json/identity.json") as answer:
                identity = json.load(answer)
            assert [worker["resources"] for worker in identity["workers"].values()] == [{"GPU": 2.0}] * 2
            assert any(path.name.startswith("oxidask-worker-") for path in tmp_path.iterdir())
        eventually(lambda: not info_of(scheduler_file)["workers"], "the workers have left")
        scheduler.send_signal(signal.SIGTERM)
        scheduler.wait(10)
    assert not scheduler_file.exists(), "the file goes with its scheduler"
    assert not any(path.name.startswith("oxidask-worker-") for path in tmp_path.iterdir())


def test_a_worker_that_is_killed_is_started_again(scheduler_file: Path) -> None:
    with (
        command("scheduler", "--port", "0", "--scheduler-file", str(scheduler_file), "--no-dashboard"),
        command("worker", "--scheduler-file", str(scheduler_file), "--nthreads", "1"),
    ):
        eventually(scheduler_file.exists, "the scheduler file")
        (before,) = workers_of(scheduler_file, 1)
        os.kill(before["pid"], signal.SIGKILL)
        eventually(
            lambda: [worker["pid"] for worker in info_of(scheduler_file)["workers"]] not in ([], [before["pid"]]),
            "another process",
        )


def test_the_worker_ends_with_its_nanny(scheduler_file: Path) -> None:
    with command("scheduler", "--port", "0", "--scheduler-file", str(scheduler_file), "--no-dashboard"):
        with command("worker", "--scheduler-file", str(scheduler_file), "--nthreads", "1") as nanny:
            eventually(scheduler_file.exists, "the scheduler file")
            (worker,) = workers_of(scheduler_file, 1)
            nanny.kill()
        eventually(lambda: not Path(f"/proc/{worker['pid']}").exists(), "the worker has ended")


def test_preloaded_modules_are_set_up(scheduler_file: Path, tmp_path: Path) -> None:
    module = tmp_path / "setup_scheduler.py"
    told = tmp_path / "told"
    module.write_text(f"def dask_setup(scheduler):\n    open({str(told)!r}, 'w').write(scheduler.address)\n")
    options = ["--port", "0", "--no-dashboard", "--preload", str(module), "--scheduler-file", str(scheduler_file)]
    with command("scheduler", *options):
        eventually(lambda: told.exists() and told.read_text(), "the module was set up")
        assert told.read_text() == json.loads(scheduler_file.read_text())["address"]


def test_an_idle_scheduler_ends(scheduler_file: Path) -> None:
    options = ["--port", "0", "--no-dashboard", "--idle-timeout", "200ms", "--scheduler-file", str(scheduler_file)]
    with command("scheduler", *options) as scheduler:
        assert scheduler.wait(30) == 0
    assert not scheduler_file.exists()


def test_a_worker_begins_anew_after_its_lifetime(scheduler_file: Path) -> None:
    lifetime = ["--lifetime", "300ms", "--lifetime-restart"]
    with (
        command("scheduler", "--port", "0", "--scheduler-file", str(scheduler_file), "--no-dashboard"),
        command("worker", "--scheduler-file", str(scheduler_file), "--nthreads", "1", "--name", "mortal", *lifetime),
    ):
        eventually(scheduler_file.exists, "the scheduler file")
        seen = set()

        def lives() -> bool:
            seen.update(worker["pid"] for worker in info_of(scheduler_file)["workers"])
            return len(seen) >= 3

        eventually(lives, "three lives, each a process of its own")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["worker"], "no scheduler was named"),
        (["worker", "tcp://127.0.0.1:1"], "the secret of the cluster at tcp://127.0.0.1:1 is not known"),
        (["scheduler", "--tls-key", "x"], "the authority and the certificate is not given"),
        (["scheduler", "--interface", "nowhere0"], "there is no network interface 'nowhere0'"),
        (["scheduler", "--host", "127.0.0.1", "--protocol", "ucx"], "there is no protocol 'ucx'"),
        (["scheduler", "--host", "192.0.2.1", "--protocol", "tcp", "--no-dashboard"], "can be read on the way"),
    ],
)
def test_mistakes_are_named(words: list[str], what: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.delenv("OXIDASK_SECRET_FILE", raising=False)
    assert main(words) == 1
    assert what in capsys.readouterr().err


def test_addresses_are_loopback_or_encrypted() -> None:
    address = _common.listen_address
    assert address(None, 8786, None) == "tcp://127.0.0.1:8786"
    assert address("::1", 1, None) == "tcp://[::1]:1"
    assert address("10.0.0.1", 1, None) == "tls://10.0.0.1:1"
    assert address("tcp://127.0.0.1:99", 1, None) == "tcp://127.0.0.1:99"
    assert address("2001:db8::1", 1, None) == "tls://[2001:db8::1]:1"
    assert address("/tmp/x", 1, "unix") == "unix:///tmp/x"
    assert _common.host_of(None, "lo") == "127.0.0.1"


def test_shares_and_resources() -> None:
    assert _shares("3", 2) == (3, 2)
    assert _resources("GPU=2 MEM=1e9") == [("GPU", 2.0), ("MEM", 1e9)]
    with pytest.raises(ValueError, match="GPU"):
        _resources("GPU")
    with pytest.raises(ValueError, match="at least 1"):
        _shares("0", 1)


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(os.urandom(32).hex())
    path.chmod(0o600)
    return path


def test_python_functions_run_encrypted_in_children_that_preload(secret_file: Path, tmp_path: Path) -> None:
    module = tmp_path / "prepared.py"
    module.write_text(
        "import os\n"
        "prepared_by = None\n"
        "def dask_setup(worker):\n"
        "    global prepared_by\n"
        "    prepared_by = os.getpid()\n"
    )
    secret = ["--secret-file", str(secret_file)]

    def prepared() -> tuple[int, int]:
        import os
        import sys

        return sys.modules["prepared"].prepared_by, os.getpid()

    listen = ["--host", "127.0.0.1", "--port", "0", "--protocol", "tls", "--no-dashboard"]
    with command("scheduler", *listen, *secret) as scheduler:
        assert scheduler.stdout is not None
        address = scheduler.stdout.readline().split()[-1]
        assert address.startswith("tls://127.0.0.1:")
        with (
            command("worker", address, *secret, "--nthreads", "1", "--preload", str(module)),
            Client(address, secret_file=str(secret_file), set_as_default=False) as client,
        ):
            prepared_by, child = client.submit(prepared).result(timeout=60)
            assert prepared_by == child != os.getpid()


def test_futures_survive_their_scheduler(secret_file: Path, tmp_path: Path) -> None:
    options = ["--no-dashboard", "--secret-file", str(secret_file), "--journal", str(tmp_path / "journal")]

    def start(port: str) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
        return command("scheduler", "--port", port, *options)

    with start("0") as scheduler:
        assert scheduler.stdout is not None
        address = scheduler.stdout.readline().split()[-1]
        with (
            command("worker", address, "--secret-file", str(secret_file), "--nthreads", "1"),
            Client(address, secret_file=str(secret_file), set_as_default=False) as client,
        ):
            done = client.submit(os.getpid, pure=False)
            child = done.result(timeout=60)
            scheduler.kill()
            scheduler.wait()
            later = client.submit(os.getpid, pure=False)
            with start(address.rsplit(":", 1)[1]):
                assert later.result(timeout=60) == child, "the child is the same, too"
                assert client.submit(lambda pid: pid, done).result(timeout=60) == child
