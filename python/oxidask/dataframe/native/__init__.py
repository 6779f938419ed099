"""Frames and columns that the engine runs by itself, without pandas.

Each method here has a native form only: what it cannot take, it refuses with
``NotImplementedError`` or ``TypeError``, and the public classes then go through
pandas. Nothing here may answer anything but what pandas answers.
"""
