"""What looks at a cluster, under the name by which users import it.

>>> from oxidask.distributed.diagnostics import MemorySampler
>>> MemorySampler().samples
{}
"""

from oxidask.distributed._plugins import NannyPlugin, SchedulerPlugin, WorkerPlugin
from oxidask.distributed._report import performance_report
from oxidask.distributed._watch import MemorySampler, get_task_stream, progress

__all__ = [
    "MemorySampler",
    "NannyPlugin",
    "SchedulerPlugin",
    "WorkerPlugin",
    "get_task_stream",
    "performance_report",
    "progress",
]
