"""A request -> canonical bytes -> a cache key.

Pure: no file, no clock, no log. The canonical form is a contract (see ``docs/explanation/keys.md``), held by golden vectors.
"""

from spark_cache.keys.endpoint import normalise_endpoint
from spark_cache.keys.memo import DigestMemo, digest_of
from spark_cache.keys.messages import normalise_message
from spark_cache.keys.parameters import key_parameters, stateful_parameter
from spark_cache.keys.request import KEY_VERSION, cache_key

__all__ = [
    "KEY_VERSION",
    "DigestMemo",
    "cache_key",
    "digest_of",
    "key_parameters",
    "normalise_endpoint",
    "normalise_message",
    "stateful_parameter",
]
