"""Small things that launchers and notebooks use, under the name by which they import them."""

from __future__ import annotations

import html

__all__ = ["Log", "Logs"]


class Log(str):
    """The lines that a member of a cluster has logged; notebooks show it as it is.

    Examples
    --------
    >>> Log("1 < 2")._repr_html_()
    '<pre><code>1 &lt; 2</code></pre>'
    """

    def _repr_html_(self) -> str:
        return f"<pre><code>{html.escape(self.rstrip())}</code></pre>"


class Logs(dict[str, "Log"]):
    """The logs of the members of a cluster by their names; notebooks show one below the other.

    Examples
    --------
    >>> Logs({"Scheduler": Log("ready")})["Scheduler"]
    'ready'
    """

    def _repr_html_(self) -> str:
        return "\n".join(
            f"<details><summary>{html.escape(str(name))}</summary>{Log(log)._repr_html_()}</details>"
            for name, log in self.items()
        )
