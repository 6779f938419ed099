"""Profiles of runs, their pictures, and the cache of results."""

from __future__ import annotations

from operator import add, mul
from xml.etree import ElementTree

import pytest
from oxidask import delayed
from oxidask.callbacks import Callback
from oxidask.diagnostics import CacheProfiler, Profiler, ResourceProfiler, visualize
from oxidask.threaded import get

GRAPH = {"a": 1, "b": 2, "c": (add, "a", "b"), "d": (mul, "a", "b"), "e": (mul, "c", "d")}


def test_every_task_is_recorded_once():
    with Profiler() as profile:
        assert get(GRAPH, "e") == 6
    assert sorted(task.key for task in profile.results) == ["c", "d", "e"]
    assert all(profile.start_time <= task.start_time <= task.end_time <= profile.end_time for task in profile.results)
    profile.clear()
    assert profile.results == []


def test_a_task_that_fails_is_not_recorded():
    with Profiler() as profile, pytest.raises(ZeroDivisionError):
        get({"x": 1, "y": (lambda x: x / 0, "x")}, "y")
    assert profile.results == []
    assert not Callback.active


def test_kept_results_have_a_beginning_and_an_end():
    with CacheProfiler(metric=lambda value: value, metric_name="size") as profile:
        get(GRAPH, "e")
    assert {kept.key: kept.metric for kept in profile.results} == {"c": 3, "d": 2, "e": 6}
    assert all(kept.cache_time <= kept.free_time for kept in profile.results)


def test_resources_are_looked_at_while_active():
    with ResourceProfiler(dt=0.01) as profile:
        delayed(sum)(range(100_000)).compute(scheduler="processes")
    assert profile.results
    assert all(look.mem > 1 and look.cpu >= 0 for look in profile.results)
    assert not profile._is_running()
    profile.close()


def test_the_picture_names_every_task(tmp_path):
    with Profiler() as profile, ResourceProfiler(dt=0.01) as used, CacheProfiler() as kept:
        get(GRAPH, "e")
    path = tmp_path / "profile.html"
    page = visualize([profile, used, kept], filename=str(path), show=False, save=True)
    assert path.read_text(encoding="utf-8") == page
    plots = [part[: part.index("</svg>") + 6] for part in page.split("<svg")[1:]]
    assert len(plots) == 3
    titles = {title.text for plot in plots for title in ElementTree.fromstring("<svg" + plot).iter("title")}
    assert {title.split(" · ")[1] for title in titles} == {"c", "d", "e"}


def test_only_profilers_have_pictures():
    with pytest.raises(TypeError, match="is no profiler"):
        visualize([Callback()], save=False, show=False)


def test_a_cache_spares_what_it_knows():
    pytest.importorskip("cachey")
    from oxidask.cache import Cache

    calls = []

    def inc(x):
        calls.append(x)
        return x + 1

    with Cache(10_000):
        assert get({"x": (inc, 1)}, "x") == 2
        assert get({"x": (inc, 1), "y": (inc, "x")}, "y") == 3
    assert calls == [1, 2]
    assert not Callback.active
