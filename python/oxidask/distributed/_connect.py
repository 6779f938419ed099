"""How a client finds a cluster, and what it must know to join it."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import Any, NamedTuple

from oxidask import _oxidask, config
from oxidask.distributed._cluster import known_cluster

__all__ = ["Target", "find_cluster"]


class Target(NamedTuple):
    """A cluster to connect to."""

    address: str
    secret: str | None
    #: Certificates, as JSON.
    security: str | None = None
    cluster: Any = None

    @classmethod
    def of(cls, cluster: Any) -> Target:
        """A cluster of this process."""
        security = _certificates(getattr(cluster, "security", None))
        return cls(cluster.scheduler_address, getattr(cluster, "_secret", None), security, cluster)

    def connect(self, name: str, timeout: float | None) -> _oxidask.ClientHandle:
        """Connects.

        Raises
        ------
        OSError, TimeoutError
            If nobody listens there.
        PermissionError
            If the cluster's secret is not known, or is another.
        """
        seconds = 30.0 if timeout is None else timeout
        if self.cluster is None:
            _wait_for_listener(self.address, seconds)
        if self.secret is None:
            raise PermissionError(
                f"the secret of the cluster at {self.address} is not known\n"
                "hint: pass secret_file= or scheduler_file=, or set OXIDASK_SECRET_FILE: "
                "the file 'secret' in the cluster's folder"
            )
        return _oxidask.ClientHandle(self.address, self.secret, name, seconds, self.security)


def _certificates(security: Any) -> str | None:
    return None if security is None else security._to_json()


def _wait_for_listener(address: str, seconds: float) -> None:
    """Waits until somebody listens at an address: a scheduler may be about to start.

    A socket file that is not there is a mistake at once.
    """
    deadline, pause = time.monotonic() + seconds, 0.01
    while True:
        try:
            _check_reachable(address, max(0.001, deadline - time.monotonic()))
            return
        except ConnectionRefusedError as error:
            if time.monotonic() + pause > deadline:
                raise OSError(f"no cluster could be reached at {address} within {seconds} s: {error}") from error
        except TimeoutError:
            raise TimeoutError(f"{address} did not answer within {seconds} s") from None
        except OSError as error:
            raise OSError(f"no cluster can be reached at {address}: {error}") from error
        time.sleep(pause)
        pause = min(0.5, pause * 1.5)


def _check_reachable(address: str, seconds: float) -> None:
    """Raises ``OSError`` if nobody listens at an address."""
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(seconds)
            probe.connect(address.removeprefix("unix://"))
    else:
        host, _, port = address.rpartition("://")[2].rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(
                f"{address} is not an address\nhint: write tcp://host:port, tls://host:port or unix:///path"
            )
        socket.create_connection((host.strip("[]"), int(port)), timeout=seconds).close()


def find_cluster(where: Any, scheduler_file: str | None, secret_file: str | None, security: Any) -> Target | None:
    """The cluster that is meant; ``None`` if one has to be started."""
    if scheduler_file is not None:
        return _from_file(scheduler_file)
    if where is None:
        where = config.get("scheduler-address", None)
    if where is None and config.get("scheduler-file", None):
        return _from_file(config.get("scheduler-file"))
    if where is None:
        return None
    if isinstance(where, str):
        return _from_address(where, secret_file, security)
    if hasattr(where, "scheduler_address"):
        if getattr(where, "_start", None) is not None and not where.asynchronous:
            where._start()
        return Target.of(where)
    raise TypeError(f"a client connects to an address or a cluster object, got {type(where).__name__}")


def _from_address(address: str, secret_file: str | None, security: Any) -> Target:
    address = normalized(address)
    certificates = _certificates(security)
    if secret_file is None:
        cluster = known_cluster(address)
        if cluster is not None:
            return Target.of(cluster)
        worker = json.loads(_oxidask.membership() or "{}")
        if worker.get("scheduler") == address:
            return Target(address, worker["secret"], json.dumps(worker["security"]))
        if address.startswith("unix://"):
            secret_file = os.path.join(os.path.dirname(address.removeprefix("unix://")), "secret")
        else:
            secret_file = os.environ.get("OXIDASK_SECRET_FILE")
    if secret_file is None or not os.path.exists(secret_file):
        return Target(address, None, certificates)
    with open(secret_file, encoding="ascii") as file:
        return Target(address, file.read().strip(), certificates)


def normalized(address: str) -> str:
    """An address with its scheme."""
    return address if "://" in address else f"tcp://{address}"


def _from_file(path: str) -> Target:
    with open(path, encoding="utf-8") as file:
        described = json.load(file)
    certificates = described.get("security")
    return Target(
        described["address"],
        described.get("secret"),
        json.dumps(certificates) if certificates is not None else None,
    )
