"""Starts workers that run the tasks of a scheduler.

Each worker is a process that holds results and runs native operations on its
threads; Python functions run in child processes of it, one per thread. A nanny in
this process starts a worker again when it dies, and ends it when it takes more
memory than it may.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time

from oxidask import _oxidask
from oxidask.cli import _common
from oxidask.utils import cpu_count, parse_timedelta

__all__ = ["add_arguments", "run"]

#: Carries what children import first, and its arguments.
PRELOAD_VARIABLE = "OXIDASK_INTERNAL_PRELOAD"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("scheduler", nargs="?", help="address of the scheduler, such as tcp://127.0.0.1:8786")
    parser.add_argument("preload_argv", nargs="*", help="arguments of the preloaded modules")
    parser.add_argument("--scheduler-file", metavar="FILE", help="the file that the scheduler wrote")
    parser.add_argument("--secret-file", metavar="FILE", help="file with the cluster's secret")
    parser.add_argument("--nworkers", default="1", help="number of workers, or 'auto' (default: %(default)s)")
    parser.add_argument("--nthreads", type=int, default=0, help="tasks at once of each (default: all cores together)")
    parser.add_argument("--memory-limit", default="auto", help="memory for results of each: 4GB, 0.5, auto, or 0")
    parser.add_argument("--name", help="name; with several workers a number is appended")
    parser.add_argument("--resources", default="", help="abstract resources, such as 'GPU=2 MEM=1e9'")
    parser.add_argument("--host", help="address at which others reach the workers")
    parser.add_argument("--interface", help="network interface at which others reach the workers")
    parser.add_argument("--protocol", help="accepted for Dask's sake: the scheduler's protocol is used")
    parser.add_argument("--local-directory", metavar="DIR", help="folder for spilled results")
    parser.add_argument("--lifetime", help="retire after so long, such as 1h")
    parser.add_argument("--lifetime-stagger", help="random share of time by which lifetimes differ")
    parser.add_argument("--lifetime-restart", action="store_true", default=None, help="begin anew after the lifetime")
    parser.add_argument("--death-timeout", help="end if the scheduler is away for so long (default: 30s)")
    parser.add_argument("--no-nanny", dest="nanny", action="store_false", help="run the workers in this process")
    parser.add_argument("--nanny", action="store_true", default=True, help=argparse.SUPPRESS)
    parser.add_argument("--preload", action="append", default=[], help="module or file that children import first")
    parser.add_argument("--pid-file", metavar="FILE", help="file to write the process's number to")
    _common.add_tls_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Works until it is ended, or the workers have ended for good."""
    scheduler, secret = _where(arguments)
    workers = _oxidask.WorkersHandle(scheduler, secret, **_options(arguments))
    if arguments.pid_file:
        with open(arguments.pid_file, "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
    try:
        with _common.until_told() as is_told:
            while not is_told() and not workers.are_over():
                time.sleep(0.1)
    finally:
        workers.close()
        if arguments.pid_file and os.path.exists(arguments.pid_file):
            os.unlink(arguments.pid_file)


def _where(arguments: argparse.Namespace) -> tuple[str, str]:
    """Address and secret of the scheduler."""
    address = secret = None
    if arguments.scheduler_file:
        timeout = parse_timedelta(arguments.death_timeout or "30s")
        address, secret = _file_of(arguments.scheduler_file, timeout)
    secret_file = arguments.secret_file or os.environ.get("OXIDASK_SECRET_FILE")
    if secret_file:
        with open(secret_file, encoding="ascii") as file:
            secret = file.read()
    address = arguments.scheduler or address or os.environ.get("OXIDASK_SCHEDULER_ADDRESS")
    if address is None:
        raise ValueError("no scheduler was named\nhint: give its address, or --scheduler-file")
    if secret is None:
        raise ValueError(
            f"the secret of the cluster at {address} is not known\nhint: give --scheduler-file or --secret-file"
        )
    return address, secret


def _file_of(path: str, timeout: float) -> tuple[str, str]:
    """What the scheduler's file says, as soon as it is there."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return _oxidask.read_scheduler_file(path)
        except (OSError, ValueError):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def _options(arguments: argparse.Namespace) -> dict[str, object]:
    """What the engine is told."""
    n_workers, n_threads = _shares(arguments.nworkers, arguments.nthreads)
    host = _common.host_of(arguments.host, arguments.interface)
    lifetime = _common.with_defaults(arguments.lifetime, "distributed.worker.lifetime.duration")
    stagger = _common.with_defaults(arguments.lifetime_stagger, "distributed.worker.lifetime.stagger", 0)
    restart = _common.with_defaults(arguments.lifetime_restart, "distributed.worker.lifetime.restart", False)
    seconds = None
    if lifetime:
        spread = parse_timedelta(stagger)
        seconds = max(0.0, parse_timedelta(lifetime) + (random.random() * 2 - 1) * spread)
    death = arguments.death_timeout
    return {
        "command": _worker_command() if arguments.nanny else None,
        "child": _child_command(arguments),
        "n_workers": n_workers,
        "n_threads": n_threads,
        "memory_limit": _memory_limit(arguments.memory_limit, n_workers),
        "security": _common.security_of(arguments, "worker"),
        "name": arguments.name,
        "host": host,
        "resources": _resources(arguments.resources),
        "local_directory": arguments.local_directory,
        "lifetime": seconds,
        "lifetime_restart": bool(restart),
        "death_timeout": parse_timedelta(death) if death else None,
    }


def _shares(nworkers: str, nthreads: int) -> tuple[int, int]:
    """How many workers, and how many threads each."""
    cores = cpu_count()
    if nworkers == "auto":
        n_workers = max(1, cores // max(1, nthreads or int(cores**0.5)))
    else:
        n_workers = int(nworkers)
        if n_workers < 0:
            n_workers = max(1, cores + 1 + n_workers)
    if n_workers < 1:
        raise ValueError(f"--nworkers is {nworkers}; it must be at least 1")
    return n_workers, nthreads if nthreads > 0 else max(1, cores // n_workers)


def _memory_limit(text: str, n_workers: int) -> int:
    from oxidask.distributed._cluster import _limit_of

    try:
        value: object = float(text)
    except ValueError:
        value = text
    limit = _limit_of(int(value) if isinstance(value, float) and (value > 1 or value == 0) else value)
    return _oxidask.LocalClusterHandle.machine_memory() * 6 // 10 // n_workers if limit is None else limit


def _resources(text: str) -> list[tuple[str, float]]:
    """The pairs of a text such as ``GPU=2 MEM=1e9``."""
    if not text:
        from oxidask import config

        return sorted((name, float(amount)) for name, amount in config.get("distributed.worker.resources", {}).items())
    pairs = []
    for pair in text.replace(",", " ").split():
        name, is_pair, amount = pair.partition("=")
        if not is_pair or not name:
            raise ValueError(f"--resources has {pair!r}\nhint: write name=amount, such as 'GPU=2 MEM=1e9'")
        pairs.append((name, float(amount)))
    return sorted(pairs)


def _worker_command() -> tuple[str, list[str], list[tuple[str, str]]]:
    from oxidask.distributed._cluster import _agent_command

    return _agent_command()


def _child_command(arguments: argparse.Namespace) -> tuple[str, list[str], list[tuple[str, str]]]:
    from oxidask import _child

    program, words, variables = _child.command()
    preloads = list(_common.with_defaults(arguments.preload, "distributed.worker.preload", []))
    if preloads:
        paths = [os.path.abspath(name) if os.path.exists(name) else name for name in preloads]
        argv = _common.with_defaults(arguments.preload_argv, "distributed.worker.preload-argv", [])
        variables = [*variables, (PRELOAD_VARIABLE, json.dumps([paths, argv]))]
    return program, words, variables
