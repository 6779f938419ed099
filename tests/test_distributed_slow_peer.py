"""A peer that hardly reads holds nobody up, and misses nothing."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time

import pytest
from oxidask.distributed import Client, LocalCluster


class Trickle:
    """Passes bytes on between clients and a scheduler; to clients one a second when told."""

    def __init__(self, target, path):
        self.target, self.path = target, str(path)
        self.is_quick = threading.Event()
        self.is_quick.set()
        self.n_passed = 0
        self._sockets = [socket.socket(socket.AF_UNIX)]
        self._sockets[0].bind(self.path)
        self._sockets[0].listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, server = self._sockets[0].accept()[0], socket.socket(socket.AF_UNIX)
                server.connect(self.target)
                self._sockets += [client, server]
                threading.Thread(target=self._to_client, args=(server, client), daemon=True).start()
                threading.Thread(target=self._to_server, args=(client, server), daemon=True).start()

    def _to_client(self, server, client):
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16 if self.is_quick.is_set() else 1):
                client.sendall(data)
                self.n_passed += len(data)
                self.is_quick.wait(1.0)
            client.shutdown(socket.SHUT_WR)

    def _to_server(self, client, server):
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def close(self):
        self.is_quick.set()
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def text_of(number):
    return f"{number:>4000}"


@pytest.mark.parametrize("processes", [True, False], ids=["processes", "threads"])
def test_a_client_that_reads_one_byte_a_second_holds_nobody_up(tmp_path, processes):
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=processes) as cluster:
        target = cluster.scheduler_address.removeprefix("unix://")
        secret = os.path.join(os.path.dirname(target), "secret")
        proxy = Trickle(target, tmp_path / "slow.sock")
        with contextlib.closing(proxy), Client(f"unix://{proxy.path}", secret_file=secret) as slow:
            assert slow.submit(abs, -1).result() == 1
            proxy.is_quick.clear()
            before = proxy.n_passed
            # Some megabytes of news, far more than sockets hold.
            texts = slow.map(text_of, range(1000), pure=False)
            with Client(cluster) as quick:
                longest = 0.0
                assert quick.gather(quick.map(abs, range(-1000, 0))) == list(range(1000, 0, -1))
                for number in range(100):
                    start = time.perf_counter()
                    assert quick.submit(abs, -number, pure=False).result(timeout=60) == number
                    longest = max(longest, time.perf_counter() - start)
            # Nobody waited for the next byte to be read.
            assert longest < 0.9
            # A read that had begun may have passed one packet.
            assert proxy.n_passed - before < 1 << 17
            assert not all(text.done() for text in texts)
            proxy.is_quick.set()
            assert slow.gather(texts) == [text_of(number) for number in range(1000)]
