"""Official SDK clients, and whatever uses them, through the cache."""

from spark_cache.clients.call_options import options
from spark_cache.clients.installation import install, installed, uninstall
from spark_cache.clients.sdk_clients import cached

__all__ = ["cached", "install", "installed", "options", "uninstall"]
