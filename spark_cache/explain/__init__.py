"""Explanations of cache misses: the reason, the nearest entry, and how its request differs.

This package writes nothing, counts nothing and logs nothing. An explanation shows no more of a request than the cache directory
does: values if requests are stored as plain text, otherwise only which parts differ.
"""

from spark_cache.explain.changes import Change, changes, difference
from spark_cache.explain.compare import compare
from spark_cache.explain.difference import Difference, Explanation, Neighbour
from spark_cache.explain.explain import explain_call, explain_miss, explain_name
from spark_cache.explain.nearest import Candidate, nearest

__all__ = [
    "Candidate",
    "Change",
    "Difference",
    "Explanation",
    "Neighbour",
    "changes",
    "compare",
    "difference",
    "explain_call",
    "explain_miss",
    "explain_name",
    "nearest",
]
