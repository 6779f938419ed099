"""Starts a scheduler, to which workers and clients connect.

It listens on this machine alone unless --host or --interface says otherwise, and
off this machine encrypted. What workers and clients need, its address and the
cluster's secret, is in the scheduler file, which only its owner can read.
"""

from __future__ import annotations

import argparse
import os

from oxidask import _oxidask
from oxidask.cli import _common
from oxidask.utils import parse_timedelta

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("--host", help="address, name or URI to listen at (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port (default: 8786; 0 lets the system choose)")
    parser.add_argument("--interface", help="network interface to listen at, such as eth0")
    parser.add_argument("--protocol", help="tcp, tls or unix (default: tcp on this machine, tls off it)")
    parser.add_argument("--scheduler-file", metavar="FILE", help="file to write address and secret to, with mode 600")
    parser.add_argument("--secret-file", metavar="FILE", help="file with the cluster's secret, to use that one")
    parser.add_argument("--journal", metavar="DIR", help="folder of the journal, with which a restart goes on")
    parser.add_argument(
        "--dashboard-address", default="127.0.0.1:8787", help="host:port of /health, /metrics and /json (%(default)s)"
    )
    parser.add_argument("--no-dashboard", dest="dashboard", action="store_false", help="do not serve these pages")
    parser.add_argument("--dashboard", action="store_true", default=True, help=argparse.SUPPRESS)
    parser.add_argument("--idle-timeout", help="end after so long without tasks, such as 10m")
    parser.add_argument("--preload", action="append", default=[], help="module or file to import first")
    parser.add_argument("--pid-file", metavar="FILE", help="file to write the process's number to")
    parser.add_argument("preload_argv", nargs="*", help="arguments of the preloaded modules")
    _common.add_tls_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Serves until it is ended, is asked to end by a client, or is idle for too long."""
    host = _common.host_of(arguments.host, arguments.interface)
    port = 8786 if arguments.port is None else arguments.port
    idle = _common.with_defaults(arguments.idle_timeout, "distributed.scheduler.idle-timeout")
    secret = None
    if arguments.secret_file:
        with open(arguments.secret_file, encoding="ascii") as file:
            secret = file.read()
    options = {
        "secret": secret,
        "security": _common.security_of(arguments, "scheduler"),
        "scheduler_file": arguments.scheduler_file,
        "journal": arguments.journal,
        "idle_timeout": parse_timedelta(idle) if idle else None,
    }
    address = _common.listen_address(host, port, arguments.protocol)
    scheduler = _start(address, options, _http_address(arguments))
    try:
        with _common.until_told() as is_told:
            preloads = _common.with_defaults(arguments.preload, "distributed.scheduler.preload", [])
            argv = _common.with_defaults(arguments.preload_argv, "distributed.scheduler.preload-argv", [])
            _common.preload(list(preloads), argv, scheduler)
            _say(arguments, scheduler)
            while not is_told() and not scheduler.wait(0.2):
                pass
    finally:
        scheduler.close()
        if arguments.pid_file and os.path.exists(arguments.pid_file):
            os.unlink(arguments.pid_file)


def _http_address(arguments: argparse.Namespace) -> str | None:
    if not arguments.dashboard or not arguments.dashboard_address:
        return None
    host, _, port = str(arguments.dashboard_address).rpartition(":")
    return f"{host or '127.0.0.1'}:{port}"


def _start(address: str, options: dict[str, object], http: str | None) -> _oxidask.SchedulerHandle:
    try:
        return _oxidask.SchedulerHandle(address, http=http, **options)
    except OSError as error:
        # Two schedulers on one machine are no mistake; the second one's pages
        # are somewhere else.
        if http is None or http not in str(error):
            raise
        return _oxidask.SchedulerHandle(address, http=f"{http.rpartition(':')[0]}:0", **options)


def _say(arguments: argparse.Namespace, scheduler: _oxidask.SchedulerHandle) -> None:
    if arguments.pid_file:
        with open(arguments.pid_file, "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
    print(f"Scheduler at: {scheduler.address}", flush=True)
    if scheduler.http_address:
        print(f"  pages at: http://{scheduler.http_address}/", flush=True)
    if arguments.scheduler_file:
        print(f"  workers and clients: --scheduler-file {arguments.scheduler_file}", flush=True)
    elif not arguments.secret_file and not arguments.journal:
        print("  no other process can join: give --scheduler-file or --secret-file", flush=True)
