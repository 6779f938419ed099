"""What all tests share: the executors, the real data, and a check that nothing is left behind."""

import faulthandler
from pathlib import Path

import pytest

faulthandler.enable()

DATA = Path(__file__).parent / "data"


@pytest.fixture(params=["sync", "threads", "processes"])
def scheduler(request):
    """The name of a local executor; a test that takes it runs on each."""
    return request.param


@pytest.fixture
def data():
    """The folder with the real data sets."""
    return DATA
