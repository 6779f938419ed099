"""The page's table of methods says what happens."""

from __future__ import annotations

import importlib.util
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent


def test_the_table_of_methods_is_true():
    spec = importlib.util.spec_from_file_location("dataframe_states", ROOT / "scripts" / "dataframe_states.py")
    states = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(states)
    page = (ROOT / "docs" / "dataframe.md").read_text()
    written = page.split(states.BEGIN)[1].split(states.END)[0].strip()
    assert written == states.table(), "run: python scripts/dataframe_states.py"
