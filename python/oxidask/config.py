"""Settings: nested names, from defaults, YAML files, the environment and code.

Later sources win: defaults of this package, YAML files in the folders of
:data:`paths` (last ``~/.config/oxidask``, or ``$OXIDASK_CONFIG``), variables
``OXIDASK_…`` (``__`` stands for a dot, ``_`` also for a dash), and :class:`set`.

>>> from oxidask import config
>>> config.get("array.chunk-size")
'128MiB'
>>> with config.set({"array.chunk-size": "1MiB"}):
...     config.get("array.chunk_size")
'1MiB'
"""

from __future__ import annotations

import ast
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from oxidask import _oxidask

__all__ = [
    "canonical_name",
    "check_deprecations",
    "collect",
    "collect_env",
    "collect_yaml",
    "config",
    "defaults",
    "deserialize",
    "ensure_file",
    "expand_environment_variables",
    "get",
    "interpret_value",
    "merge",
    "paths",
    "paths_containing_key",
    "pop",
    "refresh",
    "rename",
    "serialize",
    "set",
    "update",
    "update_defaults",
]

no_default = "__no_default__"

_PREFIX = "OXIDASK_"

#: Folders and files that are read, the most specific last.
paths: list[str] = []

#: Where ``ensure_file`` puts files.
PATH: str

#: The settings in force.
config: dict[str, Any] = {}

#: Defaults that packages have given, the first given last.
defaults: list[Mapping[str, Any]] = []

config_lock = threading.Lock()

#: Names that have changed, and what they are now; ``None`` if they do nothing.
deprecations: dict[str, str | None] = {
    "fuse-ave-width": "optimization.fuse.ave-width",
    "fuse-max-height": "optimization.fuse.max-height",
    "fuse-max-width": "optimization.fuse.max-width",
    "fuse-rename-keys": "optimization.fuse.rename-keys",
    "fuse-max-depth-new-edges": "optimization.fuse.max-depth-new-edges",
    "allowed-failures": "distributed.scheduler.allowed-failures",
    "connect-timeout": "distributed.comm.timeouts.connect",
    "worker-memory-pause": "distributed.worker.memory.pause",
    "worker-memory-spill": "distributed.worker.memory.spill",
    "worker-memory-target": "distributed.worker.memory.target",
    "worker-memory-terminate": "distributed.worker.memory.terminate",
    "worker-ttl": "distributed.scheduler.worker-ttl",
}

_DEFAULTS: dict[str, Any] = {
    "temporary-directory": None,
    "num-workers": None,
    "memory-limit": None,
    "delayed-pure": False,
    "visualization": {"engine": None},
    "admin": {
        # Modules whose lines say nothing about a user's mistake.
        "traceback": {
            "shorten": [
                r"concurrent[\\\/]futures[\\\/]",
                r"oxidask[\\\/](_\w+|base|callbacks|core|local|multiprocessing|threaded|utils)\.py",
                r"oxidask[\\\/](array|bag|dataframe|distributed)[\\\/]",
                r"pandas[\\\/]core[\\\/]",
            ]
        }
    },
    "tokenize": {"ensure-deterministic": False},
    "array": {
        "backend": "numpy",
        "chunk-size": "128MiB",
        "chunk-size-tolerance": 1.25,
        "rechunk": {"method": None, "threshold": 4},
        "slicing": {"split-large-chunks": None},
        "svg": {"size": 120},
    },
    "dataframe": {
        "backend": "pandas",
        "convert-string": None,
        "shuffle": {"method": None, "compression": None},
        "parquet": {
            "metadata-task-size-local": 512,
            "metadata-task-size-remote": 1,
            "minimum-partition-size": 75000000,
        },
    },
    "optimization": {
        "annotations": {"fuse": True},
        "fuse": {
            "active": None,
            "delayed": False,
            "ave-width": 1,
            "max-width": None,
            "max-height": float("inf"),
            "max-depth-new-edges": None,
            "rename-keys": True,
        },
    },
    # Dask's names that mean something here; where a value is not Dask's,
    # docs/cluster.md says so.
    "distributed": {
        "scheduler": {
            "allowed-failures": 3,
            "idle-timeout": None,
            "journal-limit": "64MiB",
            "locks": {"lease-timeout": "5s"},
            "preload": [],
            "preload-argv": [],
            "worker-saturation": 1.1,
            "worker-ttl": "30s",
        },
        "worker": {
            "profile": {"enabled": True, "interval": "10ms", "cycle": "1000ms"},
            "preload": [],
            "preload-argv": [],
            "resources": {},
            "lifetime": {"duration": None, "stagger": "0 seconds", "restart": False},
            "memory": {
                "target": 0.60,
                "spill": 0.70,
                "pause": 0.80,
                "terminate": 0.95,
                "max-spill": False,
            },
        },
        "client": {"preload": [], "preload-argv": []},
        "adaptive": {
            "interval": "1s",
            "target-duration": "5s",
            "minimum": 0,
            "maximum": float("inf"),
            "wait-count": 3,
        },
        "comm": {
            "reconnect-grace": "30s",
            "require-encryption": None,
            "timeouts": {"connect": "30s"},
        },
        "admin": {"large-graph-warning-threshold": "10MB", "log-length": 10000},
    },
}


def _default_paths() -> tuple[list[str], str]:
    found = [
        os.getenv("OXIDASK_ROOT_CONFIG", "/etc/oxidask"),
        os.path.join(sys.prefix, "etc", "oxidask"),
        os.path.join(os.path.expanduser("~"), ".config", "oxidask"),
    ]
    own = os.getenv("OXIDASK_CONFIG")
    if own:
        found.append(own)
    return found, found[-1]


def canonical_name(k: str, config: Mapping[str, Any]) -> str:
    """``k`` as it is spelled in ``config``: dashes and underscores are the same.

    Examples
    --------
    >>> canonical_name("chunk_size", {"chunk-size": 1})
    'chunk-size'
    """
    try:
        if k in config:
            return k
    except TypeError:
        # Not a mapping: an outer name holds a plain value.
        return k
    for other in (k.replace("_", "-"), k.replace("-", "_")) if isinstance(k, str) else ():
        if other in config:
            return other
    return k


def update(
    old: dict[str, Any],
    new: Mapping[str, Any],
    priority: Literal["old", "new", "new-defaults"] = "new",
    defaults: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Merges ``new`` into ``old``, in place, nested mappings by their names.

    Parameters
    ----------
    priority
        Which wins where both have a value. ``"new-defaults"``: the new one where
        the old one is still that of ``defaults``.

    Examples
    --------
    >>> update({"x": 1, "y": {"a": 2}}, {"x": 2, "y": {"b": 3}})
    {'x': 2, 'y': {'a': 2, 'b': 3}}
    """
    for name, value in new.items():
        name = canonical_name(name, old)
        if isinstance(value, Mapping):
            if name not in old or old[name] is None or not isinstance(old[name], dict):
                if name in old and old[name] is not None and priority == "old":
                    continue
                old[name] = {}
            update(old[name], value, priority, defaults=(defaults or {}).get(name))
        elif (
            priority == "new"
            or name not in old
            or (priority == "new-defaults" and defaults and name in defaults and defaults[name] == old[name])
        ):
            old[name] = value
    return old


def merge(*dicts: Mapping[str, Any]) -> dict[str, Any]:
    """Merges mappings into a new dict; later ones win.

    Examples
    --------
    >>> merge({"x": 1, "y": {"a": 2}}, {"y": {"b": 3}})
    {'x': 1, 'y': {'a': 2, 'b': 3}}
    """
    result: dict[str, Any] = {}
    for mapping in dicts:
        update(result, mapping)
    return result


def interpret_value(value: str) -> Any:
    """A variable's text as a number, bool, list …, or the text itself.

    Examples
    --------
    >>> interpret_value("[1, 2]"), interpret_value("true"), interpret_value("tcp")
    ([1, 2], True, 'tcp')
    """
    try:
        return ast.literal_eval(value)
    except (SyntaxError, ValueError):
        pass
    lowered = value.lower()
    return {"none": None, "null": None, "false": False, "true": True}.get(lowered, value)


def collect_yaml(paths: Sequence[str | os.PathLike[str]], *, return_paths: bool = False) -> Iterator[Any]:
    """The content of YAML files, and of all YAML and JSON files of folders."""
    files: list[Path] = []
    for path in map(Path, paths):
        try:
            if path.is_dir():
                names = sorted(path.iterdir())
                files.extend(name for name in names if name.suffix.lower() in (".yaml", ".yml", ".json"))
            elif path.exists():
                files.append(path)
        except OSError:
            # What we may not look into does not count.
            continue
    for file in files:
        content = _load_yaml(file)
        if content is not None:
            yield (file, content) if return_paths else content


def _load_yaml(file: Path) -> dict[str, Any] | None:
    import yaml

    try:
        text = file.read_text()
    except OSError:
        return None
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"the configuration file {str(file)!r} is not valid YAML:\n\n{error}") from None
    if content is None:
        return None
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise ValueError(
            f"the configuration file {str(file)!r} holds a {kind}, where settings need a mapping\n"
            "hint: write lines like 'name: value'"
        )
    return content


def collect_env(env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The settings of environment variables.

    Examples
    --------
    >>> collect_env({"OXIDASK_ARRAY__CHUNK_SIZE": "1MiB", "HOME": "/root"})
    {'array': {'chunk_size': '1MiB'}}
    """
    env = os.environ if env is None else env
    found: dict[str, Any] = {}
    if _PREFIX + "INTERNAL_INHERIT_CONFIG" in env:
        found = deserialize(env[_PREFIX + "INTERNAL_INHERIT_CONFIG"])
    for name, value in env.items():
        if name.startswith(_PREFIX) and name != _PREFIX + "INTERNAL_INHERIT_CONFIG":
            dotted = name[len(_PREFIX) :].lower().replace("__", ".")
            found[dotted] = interpret_value(value)
    result: dict[str, Any] = {}
    set(found, config=result)
    return result


def ensure_file(source: str, destination: str | None = None, comment: bool = True) -> None:
    """Copies a package's default file to the user's folder, if it is not there.

    Parameters
    ----------
    source : path of the file
    destination : folder, ``~/.config/oxidask`` by default
    comment : whether to comment out each line
    """
    folder = Path(PATH if destination is None else destination)
    # A folder that is a file already belongs to somebody else.
    if folder.is_file() or (folder.suffix in (".yaml", ".yml") and not folder.is_dir()):
        target = folder
        folder = folder.parent
    else:
        target = folder / Path(source).name
    try:
        if target.exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
        # A file of this process's own is renamed, so that nobody reads half.
        draft = target.with_name(f"{target.name}.tmp.{os.getpid()}")
        lines = Path(source).read_text().splitlines(keepends=True)
        if comment:
            lines = ["# " + line if line.strip() and not line.startswith("#") else line for line in lines]
        draft.write_text("".join(lines))
        try:
            os.rename(draft, target)
        except OSError:
            draft.unlink()
    except OSError:
        # A folder that cannot be written to is the user's choice.
        pass


class set:
    """Sets settings, until the end of the ``with`` block if there is one.

    Parameters
    ----------
    arg : mapping, optional
        Dotted names and their values.
    config : dict, optional
        What to change; the settings in force by default.
    **kwargs
        More settings; ``__`` stands for a dot.

    Examples
    --------
    >>> from oxidask import config
    >>> with config.set({"my.name": 123}, my__other=1):
    ...     config.get("my")
    {'name': 123, 'other': 1}
    """

    config: dict[str, Any]
    _record: list[tuple[Literal["insert", "replace"], tuple[str, ...], Any]]

    def __init__(
        self,
        arg: Mapping[str, Any] | None = None,
        config: dict[str, Any] | None = None,
        lock: Any = config_lock,
        **kwargs: Any,
    ) -> None:
        self.config = globals()["config"] if config is None else config
        self._record = []
        with lock:
            for name, value in (arg or {}).items():
                self._assign(check_deprecations(name).split("."), value, self.config)
            for name, value in kwargs.items():
                self._assign(check_deprecations(name.replace("__", ".")).split("."), value, self.config)
        self._push()

    def __enter__(self) -> dict[str, Any]:
        return self.config

    def __exit__(self, *exc: Any) -> None:
        for op, path, value in reversed(self._record):
            at = self.config
            for name in path[:-1]:
                at = at.setdefault(name, {})
            if op == "replace":
                at[path[-1]] = value
            else:
                at.pop(path[-1], None)
        self._push()

    def _push(self) -> None:
        if self.config is globals()["config"]:
            _push_to_engine()

    def _assign(self, names: Sequence[str], value: Any, at: dict[str, Any], path: tuple[str, ...] = ()) -> None:
        name = canonical_name(names[0], at)
        path = (*path, name)
        if len(names) == 1:
            self._record.append(("replace", path, at[name]) if name in at else ("insert", path, None))
            at[name] = value
            return
        if name not in at:
            self._record.append(("insert", path, None))
            at[name] = {}
        elif not isinstance(at[name], dict):
            self._record.append(("replace", path, at[name]))
            at[name] = {}
        self._assign(names[1:], value, at[name], path)


def collect(paths: Sequence[str] | None = None, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The settings of YAML files and of the environment, which wins.

    Parameters
    ----------
    paths : files and folders; :data:`paths` by default
    env : variables; those of the process by default
    """
    places = globals()["paths"] if paths is None else paths
    return merge(*collect_yaml(places), collect_env(env))


def refresh(
    config: dict[str, Any] | None = None, defaults: Sequence[Mapping[str, Any]] | None = None, **kwargs: Any
) -> None:
    """Reads all sources again and forgets what :class:`set` set.

    Parameters
    ----------
    config : dict, optional
        What to renew; the settings in force by default.
    defaults : list of mappings, optional
    **kwargs
        Passed to :func:`collect`.
    """
    own = config is None
    target: dict[str, Any] = globals()["config"] if config is None else config
    target.clear()
    for mapping in globals()["defaults"] if defaults is None else defaults:
        update(target, mapping, priority="old")
    collected = collect(**kwargs)
    # Before it meets the defaults, which have the new names.
    rename(deprecations, collected)
    update(target, collected)
    if own:
        _push_to_engine()


def get(key: str, default: Any = no_default, config: Mapping[str, Any] | None = None, override_with: Any = None) -> Any:
    """A setting.

    Parameters
    ----------
    key : dotted name
    default
        What to answer if it is not set; without it that is a ``KeyError``.
    config : mapping, optional
    override_with
        Answered instead unless it is ``None``, which spares callers an ``if``.

    Examples
    --------
    >>> get("a.b", config={"a": {"b": 1}}), get("a.c", 2, config={"a": {}})
    (1, 2)
    """
    if override_with is not None:
        return override_with
    at: Any = globals()["config"] if config is None else config
    try:
        for name in key.split("."):
            at = at[canonical_name(name, at)]
    except (TypeError, IndexError, KeyError):
        if default is no_default:
            raise KeyError(f"there is no setting {key!r}") from None
        return default
    return at


def pop(key: str, default: Any = no_default, config: dict[str, Any] | None = None) -> Any:
    """Removes a setting and answers it; see :func:`get`.

    Examples
    --------
    >>> pop("a.b", config={"a": {"b": 1}})
    1
    """
    at: Any = globals()["config"] if config is None else config
    *outer, last = key.split(".")
    try:
        for name in outer:
            at = at[canonical_name(name, at)]
        return at.pop(canonical_name(last, at))
    except (TypeError, IndexError, KeyError, AttributeError):
        if default is no_default:
            raise KeyError(f"there is no setting {key!r}") from None
        return default


def update_defaults(
    new: Mapping[str, Any],
    config: dict[str, Any] | None = None,
    defaults: list[Mapping[str, Any]] | None = None,
) -> None:
    """Adds a package's defaults; what the user has set stays.

    Examples
    --------
    >>> settings = {"x": 1}
    >>> update_defaults({"x": 2, "y": 3}, settings, [])
    >>> settings
    {'x': 1, 'y': 3}
    """
    known = globals()["defaults"] if defaults is None else defaults
    before = merge(*known)
    known.append(new)
    update(globals()["config"] if config is None else config, new, priority="new-defaults", defaults=before)


def expand_environment_variables(config: Any) -> Any:
    """``$NAME`` and ``${NAME}`` replaced in all texts of nested containers.

    Examples
    --------
    >>> import os
    >>> os.environ["MY_PLACE"] = "here"
    >>> expand_environment_variables({"x": ["$MY_PLACE", 1]})
    {'x': ['here', 1]}
    """
    if isinstance(config, Mapping):
        return {name: expand_environment_variables(value) for name, value in config.items()}
    if isinstance(config, str):
        return os.path.expandvars(config)
    if isinstance(config, (list, tuple, frozenset)) or type(config).__name__ == "set":
        return type(config)(expand_environment_variables(value) for value in config)
    return config


def rename(deprecations: Mapping[str, str | None] = deprecations, config: dict[str, Any] | None = None) -> None:
    """Moves settings with old names to their new ones, with a warning each."""
    target: dict[str, Any] = globals()["config"] if config is None else config
    for old in deprecations:
        value = get(old, no_default, target) if _has(old, target) else no_default
        if value is no_default:
            continue
        pop(old, config=target)
        new = check_deprecations(old, deprecations)
        if new and not _has(new, target):
            set({new: value}, config=target)


def _has(key: str, config: Mapping[str, Any]) -> bool:
    return get(key, _MISSING, config) is not _MISSING


_MISSING = object()


def check_deprecations(key: str, deprecations: Mapping[str, str | None] = deprecations) -> str:
    """The new name of a setting, with a warning if ``key`` is an old one.

    Examples
    --------
    >>> check_deprecations("array.chunk-size")
    'array.chunk-size'
    """
    old = key.replace("_", "-")
    if old not in deprecations:
        return key
    new = deprecations[old]
    if new is None:
        raise ValueError(f"the setting {key!r} no longer exists")
    if new:
        warnings.warn(f"the setting {key!r} is now called {new!r}", FutureWarning, stacklevel=3)
        return new
    warnings.warn(f"the setting {key!r} is outdated and does nothing", FutureWarning, stacklevel=3)
    return key


def serialize(data: Any) -> str:
    """Plain data as text that fits into an environment variable.

    Examples
    --------
    >>> deserialize(serialize({"x": [1, None]}))
    {'x': [1, None]}
    """
    import base64
    import json

    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode()


def deserialize(data: str) -> Any:
    """The inverse of :func:`serialize`."""
    import base64
    import json

    return json.loads(base64.urlsafe_b64decode(data.encode()).decode())


def paths_containing_key(key: str, paths: Sequence[str] | None = None) -> Iterator[Path]:
    """The files that set ``key``."""
    for file, content in collect_yaml(globals()["paths"] if paths is None else paths, return_paths=True):
        if _has(key, content):
            yield file


def _push_to_engine() -> None:
    """Hands the settings that the engine reads over to it."""
    for name, default in _oxidask.settings():
        value = get(name, None)
        text = None if value is None or str(value) == default else str(value)
        _oxidask.set_setting(name, text)
    _oxidask.set_pure_by_default(bool(get("delayed-pure", False)))


paths, PATH = _default_paths()
defaults.append(_DEFAULTS)
refresh()
