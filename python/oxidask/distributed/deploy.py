"""Clusters, under the name by which launchers import them.

>>> from oxidask.distributed.deploy import Cluster, LocalCluster
>>> issubclass(LocalCluster, Cluster)
True
"""

from oxidask.distributed._adaptive import Adaptive
from oxidask.distributed._cluster import LocalCluster
from oxidask.distributed._cluster_base import Cluster
from oxidask.distributed._spec import ProcessInterface, SpecCluster
from oxidask.distributed._ssh import SSHCluster

__all__ = ["Adaptive", "Cluster", "LocalCluster", "ProcessInterface", "SSHCluster", "SpecCluster"]
