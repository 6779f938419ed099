"""Pictures of graphs, without Graphviz."""

from __future__ import annotations

import pytest
from oxidask import delayed, visualize


def inc(x):
    return x + 1


@pytest.mark.parametrize("name, start", [("a.svg", b"<svg"), ("a.png", b"\x89PNG"), ("a", b"\x89PNG")])
def test_writes_the_format_that_the_name_says(tmp_path, name, start):
    value = delayed(inc)(delayed(inc)(1))
    value.visualize(filename=str(tmp_path / name))
    (written,) = tmp_path.iterdir()
    assert written.read_bytes().lstrip().startswith(start)


def test_the_picture_names_the_functions():
    picture = visualize([delayed(inc)(1), {"x": delayed(abs)(-1)}], filename=None, format="svg")
    text = picture if isinstance(picture, str) else picture.data
    assert "inc" in text
    assert "abs" in text


def test_bad_arguments():
    with pytest.raises(ValueError, match="png"):
        visualize(delayed(1), filename=None, format="pdf")
    with pytest.raises(ValueError, match="rankdir"):
        visualize(delayed(1), filename=None, format="svg", rankdir="up")
