"""Why did it miss? The reason in a sentence, the nearest entry, and in what its request differs.

Nothing here writes, counts or logs. What an explanation may show of a request is what anybody who reads the cache directory sees
anyway: values where requests are stored as plain text, else only which parts differ.
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
