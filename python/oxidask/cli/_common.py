"""Options that the commands share, and what they mean."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

from oxidask import config
from oxidask.distributed._preload import preload

__all__ = ["add_tls_arguments", "host_of", "listen_address", "preload", "until_told", "with_defaults"]


def add_tls_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of encryption."""
    group = parser.add_argument_group("encryption")
    group.add_argument("--tls-ca-file", metavar="FILE", help="certificates of the authority, in PEM form")
    group.add_argument("--tls-cert", metavar="FILE", help="this process's certificate")
    group.add_argument("--tls-key", metavar="FILE", help="the key of the certificate")


def security_of(arguments: argparse.Namespace, role: str) -> str:
    """What the engine is told of encryption, from the options or else the configuration."""
    files = {
        "authority": with_defaults(arguments.tls_ca_file, "distributed.comm.tls.ca-file"),
        "certificate": with_defaults(arguments.tls_cert, f"distributed.comm.tls.{role}.cert"),
        "key": with_defaults(arguments.tls_key, f"distributed.comm.tls.{role}.key"),
    }
    missing = [name for name, file in files.items() if not file]
    if 0 < len(missing) < len(files):
        raise ValueError(
            f"the {' and the '.join(missing)} is not given\nhint: give --tls-ca-file, --tls-cert and --tls-key, or none"
        )
    required = config.get("distributed.comm.require-encryption", None)
    allows_plain = str(required).strip().lower() in ("false", "0", "no", "off")
    certificates = None if missing else {name: _text_of(file) for name, file in files.items()}
    return json.dumps({"certificates": certificates, "allows_plain": allows_plain})


def _text_of(file: str) -> str:
    with open(file, encoding="ascii") as opened:
        return opened.read()


def host_of(host: str | None, interface: str | None) -> str | None:
    """The host to listen at: as given, or the address of a network interface."""
    if host and interface:
        raise ValueError("--host and --interface exclude each other")
    if not interface:
        return host
    names = [name for _, name in socket.if_nameindex()]
    if interface not in names:
        raise ValueError(f"there is no network interface {interface!r}\nhint: there are {', '.join(names)}")
    return _interface_address(interface)


def _interface_address(interface: str) -> str:
    import fcntl
    import struct

    get_address = 0x8915
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("256s", interface[:15].encode())
        with contextlib.suppress(OSError):
            return socket.inet_ntoa(fcntl.ioctl(probe.fileno(), get_address, request)[20:24])
    with contextlib.suppress(OSError), open("/proc/net/if_inet6", encoding="ascii") as table:
        for line in table:
            digits, *_, name = line.split()
            if name == interface:
                return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))
    raise ValueError(f"the network interface {interface!r} has no address")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    return host == "localhost" or host == "::1" or host.startswith("127.")


def listen_address(host: str | None, port: int, protocol: str | None) -> str:
    """The address to listen at: loopback unless told otherwise, and off it encrypted."""
    host = host or "127.0.0.1"
    if "://" in host:
        scheme, host = host.split("://", 1)
        protocol = protocol or scheme
    protocol = (protocol or ("tcp" if is_loopback(host) else "tls")).removesuffix("://")
    if protocol not in ("tcp", "tls", "unix"):
        raise ValueError(f"there is no protocol {protocol!r}\nhint: the protocols are tcp, tls and unix")
    if protocol == "unix":
        return f"unix://{host}"
    # The host may bring a port of its own, which wins.
    if host.startswith("[") or host.count(":") == 1:
        head, _, tail = host.rpartition(":")
        if tail.isdigit():
            host, port = head, int(tail)
    host = host.strip("[]")
    return f"{protocol}://[{host}]:{port}" if ":" in host else f"{protocol}://{host}:{port}"


def with_defaults(value: Any, key: str, default: Any = None) -> Any:
    """An option, or else the setting of that name."""
    if value not in (None, [], ()):
        return value
    configured = config.get(key, default)
    return default if configured is None else configured


@contextlib.contextmanager
def until_told() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM came; Ctrl-C raises as ever."""
    told = []
    old = signal.signal(signal.SIGTERM, lambda *_: told.append(True))
    try:
        yield lambda: bool(told)
    finally:
        signal.signal(signal.SIGTERM, old)
