"""Cache keys: from a request to canonical bytes to a digest.

The functions here are pure: they touch no file, no clock and no log. The canonical form is a contract
(see ``docs/explanation/keys.md``), and golden vectors pin it.
"""

from spark_cache.keys.canonical import is_exact
from spark_cache.keys.endpoint import keyed_query, normalise_endpoint
from spark_cache.keys.equivalences import keyed_body
from spark_cache.keys.headers import is_credential, is_transport_header
from spark_cache.keys.ignored import ignored_in, without_ignored
from spark_cache.keys.memo import DigestMemo, digest_of
from spark_cache.keys.readable import readable_request
from spark_cache.keys.request import KEY_VERSION, Frame, cache_key, frame_of, key_of
from spark_cache.keys.state import state_path

__all__ = [
    "KEY_VERSION",
    "DigestMemo",
    "Frame",
    "cache_key",
    "digest_of",
    "frame_of",
    "ignored_in",
    "is_credential",
    "is_exact",
    "is_transport_header",
    "key_of",
    "keyed_body",
    "keyed_query",
    "normalise_endpoint",
    "readable_request",
    "state_path",
    "without_ignored",
]
