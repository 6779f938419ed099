"""Settings: sources, names, what wins."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from oxidask import _oxidask, config


def test_get_and_defaults():
    assert config.get("array.chunk-size") == config.get("array.chunk_size")
    assert config.get("nothing.here", 5) == 5
    assert config.get("nothing.here", None, override_with=7) == 7
    with pytest.raises(KeyError, match=r"nothing\.here"):
        config.get("nothing.here")


def test_set_as_context_and_call():
    with config.set({"a.b": 1}, c__d=2):
        assert config.get("a") == {"b": 1}
        assert config.get("c.d") == 2
        with config.set({"a.b": 3, "a.x": 4}):
            assert config.get("a") == {"b": 3, "x": 4}
        assert config.get("a") == {"b": 1}
    assert config.get("a", None) is None
    change = config.set({"a.b": 1})
    assert config.get("a.b") == 1
    with change:
        pass
    assert config.get("a.b", None) is None


def test_set_over_a_plain_value():
    own = {"x": 1}
    with config.set({"x.y": 2}, config=own):
        assert own == {"x": {"y": 2}}
    assert own == {"x": 1}


def test_update_priorities():
    assert config.update({"x": 1, "y": {"a": 2}}, {"x": 2, "y": {"a": 3, "b": 3}}, priority="old") == {
        "x": 1,
        "y": {"a": 2, "b": 3},
    }
    old, defaults = {"x": 1, "y": 5}, {"x": 1, "y": 2}
    assert config.update(old, {"x": 3, "y": 3}, priority="new-defaults", defaults=defaults) == {"x": 3, "y": 5}


def test_yaml_and_environment(tmp_path):
    (tmp_path / "a.yaml").write_text("array: {chunk-size: 1MiB}\nx: 1\n")
    (tmp_path / "b.yml").write_text("x: 2\n")
    (tmp_path / "empty.yaml").write_text("")
    env = {"OXIDASK_Y__Z": "[1, 2]", "OXIDASK_ARRAY__CHUNK_SIZE": "2MiB", "OTHER": "no"}
    assert config.collect(paths=[str(tmp_path)], env=env) == {
        "array": {"chunk-size": "2MiB"},
        "x": 2,
        "y": {"z": [1, 2]},
    }
    assert config.collect(paths=[str(tmp_path / "none")], env={}) == {}
    assert list(config.paths_containing_key("x", [str(tmp_path)])) == [tmp_path / "a.yaml", tmp_path / "b.yml"]


@pytest.mark.parametrize("text", ["- a\n- b\n", "{: x"])
def test_malformed_yaml_names_the_file(tmp_path, text):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"bad\.yaml"):
        config.collect(paths=[str(tmp_path)], env={})


@pytest.mark.parametrize(
    "text, value",
    [("1", 1), ("1.5", 1.5), ("True", True), ("false", False), ("None", None), ("a b", "a b"), ("{'a': 1}", {"a": 1})],
)
def test_environment_values(text, value):
    assert config.collect_env({"OXIDASK_V": text}) == {"v": value}


def test_refresh_forgets_what_was_set(tmp_path):
    own: dict = {}
    config.refresh(config=own, defaults=[{"x": 1, "y": 1}], paths=[], env={"OXIDASK_X": "2"})
    assert own == {"x": 2, "y": 1}


def test_engine_hears_of_settings():
    with config.set({"memory-limit": "1GiB"}):
        assert _oxidask.get_setting("memory-limit") == "1GiB"
    assert _oxidask.get_setting("memory-limit") is None
    with config.set({"distributed.worker.memory.target": 0.5}):
        assert _oxidask.get_setting("distributed.worker.memory.target") == "0.5"
    assert float(_oxidask.get_setting("distributed.worker.memory.target")) == 0.6


def test_ensure_file(tmp_path):
    source = tmp_path / "source.yaml"
    source.write_text("a:\n  b: 1\n")
    folder = tmp_path / "place"
    config.ensure_file(str(source), str(folder))
    assert (folder / "source.yaml").read_text() == "# a:\n#   b: 1\n"
    (folder / "source.yaml").write_text("mine")
    config.ensure_file(str(source), str(folder), comment=False)
    assert (folder / "source.yaml").read_text() == "mine"


def test_expand_environment_variables(monkeypatch):
    monkeypatch.setenv("FOO", "foo")
    assert config.expand_environment_variables({"x": ["$FOO", {"${FOO}"}], "y": 1}) == {"x": ["foo", {"foo"}], "y": 1}


def test_update_defaults_keeps_the_users_values():
    own, known = {"x": 5}, [{"x": 1}]
    config.update_defaults({"x": 2, "y": 3}, config=own, defaults=known)
    assert own == {"x": 5, "y": 3}


def test_deprecated_names():
    with pytest.warns(FutureWarning, match="optimization.fuse.ave-width"), config.set({"fuse_ave_width": 3}):
        assert config.get("optimization.fuse.ave-width") == 3


def test_serialize():
    data = {"a": [1, None, "x"]}
    assert config.deserialize(config.serialize(data)) == data


def test_environment_of_the_process():
    code = "from oxidask import config; print(config.get('array.chunk-size'), config.get('my.own'))"
    env = {**os.environ, "OXIDASK_ARRAY__CHUNK_SIZE": "3MiB", "OXIDASK_MY__OWN": "7"}
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["3MiB", "7"]
