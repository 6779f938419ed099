"""What this machine lends to this process.

>>> from oxidask.system import CPU_COUNT, cpu_count
>>> CPU_COUNT == cpu_count() >= 1
True
"""

from oxidask.utils import cpu_count

__all__ = ["CPU_COUNT", "cpu_count"]

#: Cores that this process may use, as they were when this module was imported.
CPU_COUNT = cpu_count()
