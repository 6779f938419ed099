"""Clusters on machines that are reached by ssh, through the system's own ``ssh``."""

from __future__ import annotations

import contextlib
import secrets
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterable
from typing import Any

from oxidask.distributed._spec import ProcessInterface, SpecCluster

__all__ = ["SSHCluster"]

#: What runs there: the secret comes on the standard input, never among the arguments, which others on that
#: machine can read; and when the connection ends, however that happens, the program is ended.
_REMOTE = (
    "exec 3<&0; IFS= read -r secret <&3; "
    'printf %s "$secret" | {{ exec {command} --secret-file /dev/stdin; }} & program=$!; '
    "{{ cat <&3; kill $program; }} >/dev/null 2>&1 & wait $program"
)

#: Options of connections, and how ``ssh`` is told of them.
_SSH = {
    "username": lambda value: ["-l", str(value)],
    "port": lambda value: ["-p", str(value)],
    "client_keys": lambda value: [word for key in _listed(value) for word in ("-i", str(key))],
    "config": lambda value: [word for file in _listed(value) for word in ("-F", str(file))],
    "connect_timeout": lambda value: ["-o", f"ConnectTimeout={max(1, round(float(value)))}"],
    "compression": lambda value: ["-C"] if value else [],
    "known_hosts": lambda value: (
        ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        if value is None
        else ["-o", f"UserKnownHostsFile={value}"]
    ),
}

#: Names of this machine, where this Python is at hand.
_HERE = ("localhost", "127.0.0.1", "::1")

#: Options of the commands by the names that they have in Python. The rest are called alike.
_RENAMED = {"n_workers": "nworkers"}


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, (list, tuple)) else [value]


def _ssh_words(options: dict[str, Any]) -> list[str]:
    """The options of ``ssh`` that stand for those of a connection."""
    unknown = [name for name in options if name not in _SSH]
    if unknown:
        names = ", ".join(map(repr, unknown))
        raise TypeError(
            f"connect_options has {names}; there are {', '.join(sorted(_SSH))}\n"
            "hint: whatever else ssh knows can be said in ~/.ssh/config; passwords are asked for by an agent"
        )
    return [word for name, value in options.items() for word in _SSH[name](value)]


def _command_words(options: dict[str, Any]) -> list[str]:
    """The options of one of our commands."""
    words: list[str] = []
    for name, value in options.items():
        flag = "--" + _RENAMED.get(name, name).replace("_", "-")
        if name == "resources" and isinstance(value, dict):
            value = " ".join(f"{resource}={amount}" for resource, amount in value.items())
        if value is True:
            words.append(flag)
        elif value is not None and value is not False:
            words += [word for one in _listed(value) for word in (flag, str(one))]
    return words


class _Remote(ProcessInterface):
    """One of our commands on another machine, for as long as the connection lasts."""

    def __init__(self, host: str, connect_options: dict[str, Any], remote_python: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.host = host
        self._ssh = ["ssh", "-o", "BatchMode=yes", *_ssh_words(connect_options), host]
        self._python = list(_listed(remote_python or (sys.executable if host in _HERE else "python3")))
        self._process: subprocess.Popen[str] | None = None
        self._said: list[str] = []

    def _run(self, words: list[str], secret: str) -> subprocess.Popen[str]:
        command = shlex.join([*self._python, "-m", "oxidask.cli", *words])
        script = _REMOTE.format(command=command)
        try:
            process = subprocess.Popen(
                [*self._ssh, script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                # Ctrl-C is for this program, which ends the others in order.
                start_new_session=True,
            )
        except FileNotFoundError:
            raise OSError("there is no program 'ssh' here\nhint: install OpenSSH's client") from None
        assert process.stdin is not None
        # If it ended already, what it said tells why.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(secret + "\n")
            process.stdin.flush()
        self._process = process
        self.status = "running"
        return process

    def _first_line(self, beginning: str) -> str:
        """What follows a beginning in the first line that has it."""
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            self._said.append(line)
            if line.startswith(beginning):
                # What it says later must not fill the pipe.
                threading.Thread(target=self._listen, name="oxidask-ssh", daemon=True).start()
                return line.removeprefix(beginning).strip()
        status = self._process.wait()
        said = "".join(self._said).strip() or "nothing"
        raise OSError(f"the command on {self.host} ended with status {status} and said:\n{said}")

    def _listen(self) -> None:
        process = self._process
        if process is not None and process.stdout is not None:
            for line in process.stdout:
                self._said[:] = [*self._said[-99:], line]

    def close(self) -> None:
        """Ends the connection, and with it the program there."""
        process, self._process = self._process, None
        self.status = "closed"
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Scheduler(_Remote):
    """A scheduler on another machine."""

    def __init__(self, host: str, connect_options: dict[str, Any], remote_python: Any, options: dict[str, Any]) -> None:
        super().__init__(host, connect_options, remote_python)
        self._words = _command_words({"host": "127.0.0.1" if host in _HERE else host, "port": 0, **options})
        # The same secret, should it be started again.
        self.secret = secrets.token_hex(32)

    def start(self) -> None:
        """Starts it; answers once it listens."""
        self._run(["scheduler", *self._words], self.secret)
        self.address = self._first_line("Scheduler at: ")


class _Worker(_Remote):
    """A worker on another machine."""

    def __init__(
        self,
        scheduler: str,
        host: str,
        connect_options: dict[str, Any],
        remote_python: Any,
        options: dict[str, Any],
        name: Any = None,
    ) -> None:
        super().__init__(host, connect_options, remote_python, scheduler=scheduler, name=name)
        self._words = _command_words({"name": str(name), **options})

    def start(self) -> None:
        """Starts it; it joins the scheduler by itself."""
        self._run(["worker", str(self.scheduler), *self._words], self.cluster._secret)
        threading.Thread(target=self._listen, name="oxidask-ssh", daemon=True).start()


def SSHCluster(
    hosts: list[str] | None = None,
    connect_options: dict[str, Any] | list[dict[str, Any]] | None = None,
    worker_options: dict[str, Any] | None = None,
    scheduler_options: dict[str, Any] | None = None,
    worker_module: str = "deprecated",
    worker_class: str = "distributed.Nanny",
    remote_python: str | list[str] | None = None,
    **kwargs: Any,
) -> SpecCluster:
    """A cluster on machines that are reached by ssh.

    It uses the system's ``ssh``, and so whatever ``~/.ssh/config`` and an agent say. The
    programs there end with the connection, however that ends.

    Parameters
    ----------
    hosts : list of str
        Names of machines: the scheduler's, then the workers'. One may be there more
        than once.
    connect_options : dict, or list of dict, optional
        For all machines, or for each: ``username``, ``port``, ``client_keys`` (files), ``config``
        (files), ``known_hosts`` (a file; ``None`` trusts every machine), ``connect_timeout`` (s),
        ``compression``.
    worker_options : dict, optional
        Options of the command ``oxidask worker``: ``nthreads``, ``n_workers`` (of each machine),
        ``memory_limit``, ``resources``, ``local_directory`` …
    scheduler_options : dict, optional
        Options of the command ``oxidask scheduler``: ``host`` (where it listens: the name in
        ``hosts`` by default), ``port`` (any by default), ``dashboard_address`` …
    worker_module, worker_class
        Without effect.
    remote_python : str or list of str, optional
        The Python there, for all machines or for each: ``python3`` by default. It must have the
        same build of oxidask.
    **kwargs
        Arguments of :class:`SpecCluster`.

    Returns
    -------
    SpecCluster

    Raises
    ------
    ValueError
        If there are fewer than two hosts, or not as many options as hosts.
    TypeError
        If there is no such option of connections.
    OSError
        If the scheduler could not be started; with what ``ssh`` or it said.

    Examples
    --------
    >>> from oxidask.distributed import SSHCluster
    >>> SSHCluster(["alone"])
    Traceback (most recent call last):
    ...
    ValueError: hosts must name a scheduler's machine and at least one worker's, got ['alone']
    """
    del worker_module, worker_class
    if not isinstance(hosts, (list, tuple)) or len(hosts) < 2:
        raise ValueError(f"hosts must name a scheduler's machine and at least one worker's, got {hosts!r}")
    connections = _for_each(connect_options or {}, hosts, "connect_options")
    pythons = _for_each(remote_python, hosts, "remote_python")
    for connection in connections:
        _ssh_words(connection)
    made = [
        {"host": host, "connect_options": connection, "remote_python": python}
        for host, connection, python in zip(hosts, connections, pythons, strict=True)
    ]
    scheduler = {"cls": _Scheduler, "options": {**made[0], "options": dict(scheduler_options or {})}}
    workers = {
        number: {"cls": _Worker, "options": {**one, "options": dict(worker_options or {})}}
        for number, one in enumerate(made[1:])
    }
    return SpecCluster(workers, scheduler, name=kwargs.pop("name", "SSHCluster"), **kwargs)


def _for_each(value: Any, hosts: Iterable[str], name: str) -> list[Any]:
    """A value for each host: one for all, or as many as there are."""
    n_hosts = len(list(hosts))
    if not isinstance(value, list):
        return [value] * n_hosts
    if len(value) != n_hosts:
        raise ValueError(f"{name} has {len(value)} elements for {n_hosts} hosts")
    return value
