"""Programs from the package registry that do nothing wrong, under load: the profiler has nothing to
say about any of them. `requirements.txt` has their versions; they are run on CPython 3.12.
"""
