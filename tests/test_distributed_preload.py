"""What is imported before a client begins its work, and the settings that name it."""

from __future__ import annotations

import logging

import pytest
from oxidask import config
from oxidask.distributed import Client, LocalCluster

SETUP = """
def dask_setup(client):
    client.found = ["setup"]


def dask_teardown(client):
    client.found.append("teardown")
"""


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False) as cluster:
        yield cluster


def test_texts_and_files_set_a_client_up_and_take_it_back(cluster, tmp_path):
    file = tmp_path / "oxidask_preload_example.py"
    file.write_text(SETUP)
    for what in (SETUP, str(file)):
        with config.set({"distributed.client.preload": [what]}), Client(cluster) as client:
            assert client.found == ["setup"]
        assert client.found == ["setup", "teardown"]


def test_arguments_are_for_all_or_for_each(cluster):
    click = pytest.importorskip("click")
    assert click
    text = """
import click


@click.command()
@click.argument("value")
def dask_setup(client, value):
    client.found = value
"""
    for arguments in (["a"], [["a"]]):
        settings = {"distributed.client.preload": [text], "distributed.client.preload-argv": arguments}
        with config.set(settings), Client(cluster) as client:
            assert client.found == "a"


def test_an_error_is_logged_and_the_client_goes_on(cluster, caplog):
    text = (
        "def dask_setup(client):\n    raise ValueError(123)\n\ndef dask_teardown(client):\n    raise ValueError(456)\n"
    )
    with caplog.at_level(logging.ERROR, "oxidask.distributed.preloading"):
        with config.set({"distributed.client.preload": [text]}), Client(cluster) as client:
            assert client.submit(abs, -1).result() == 1
    assert "123" in caplog.text
    assert "456" in caplog.text


def test_what_means_something_is_among_the_defaults():
    assert config.get("distributed.adaptive.target-duration") == "5s"
    assert config.get("distributed.worker.lifetime.duration") is None
    assert config.get("distributed.scheduler.worker-ttl") == "30s"


def test_settings_of_adaptive_scaling_act():
    with (
        config.set({"distributed.adaptive.minimum": 1, "distributed.adaptive.maximum": 2}),
        LocalCluster(n_workers=0, threads_per_worker=1, processes=False) as cluster,
    ):
        adaptive = cluster.adapt()
        assert (adaptive.minimum, adaptive.maximum) == (1, 2)


def test_old_names_in_files_win_over_defaults(tmp_path):
    (tmp_path / "settings.yaml").write_text("allowed-failures: 7\nworker_ttl: 1m\n")
    renewed = {}
    with pytest.warns(FutureWarning, match=r"distributed\.scheduler"):
        config.refresh(config=renewed, paths=[str(tmp_path)])
    assert config.get("distributed.scheduler.allowed-failures", config=renewed) == 7
    assert config.get("distributed.scheduler.worker-ttl", config=renewed) == "1m"
    assert config.get("distributed.adaptive.interval", config=renewed) == "1s"
