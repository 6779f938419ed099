"""Reading and writing frames: a module for every format."""
