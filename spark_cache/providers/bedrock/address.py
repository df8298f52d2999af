"""The address of calls to Bedrock, resolved like the SDK does but without it, because a hit needs no SDK."""

from __future__ import annotations

import os
import re
from configparser import ConfigParser, Error
from typing import TYPE_CHECKING

from spark_cache.keys import normalise_endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["configured_address", "endpoint_of"]

_OWN = re.compile(
    r"https://bedrock-runtime(-fips)?\.[a-z0-9-]+\.(amazonaws\.com(\.cn)?|api\.aws)/?", re.IGNORECASE
)
"""Bedrock's own addresses. The region determines where a model runs and does not change its responses."""

_SERVICE = "bedrock_runtime"

_ENDPOINT = re.compile(r"^\s*endpoint_url\s*=\s*(\S+)", re.MULTILINE)


def endpoint_of(address: str | None) -> str | None:
    """Return an address in the form that is part of a key. None for Bedrock's own, in any region.

    Args:
        address: The address; None is Bedrock's own.
    """
    if address is None or _OWN.fullmatch(address):
        return None
    return normalise_endpoint(address, "")


def configured_address(profile: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the address for Bedrock from the environment or AWS's configuration file. None leaves it to the SDK.

    Args:
        profile: The profile of the session. None is the profile that the environment names.
        environ: The environment.
    """
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    for name in (f"AWS_ENDPOINT_URL_{_SERVICE.upper()}", "AWS_ENDPOINT_URL"):
        if environ.get(name):
            return environ[name]
    profile = profile or environ.get("AWS_DEFAULT_PROFILE") or environ.get("AWS_PROFILE") or "default"
    return _address_in_file(os.path.expanduser(environ.get("AWS_CONFIG_FILE") or "~/.aws/config"), profile)


def _address_in_file(path: str, profile: str) -> str | None:
    parser = ConfigParser(interpolation=None, strict=False, default_section="")
    try:
        parser.read(path, encoding="utf-8")
    except (Error, ValueError):
        # The SDK reads the file too, and reports what is wrong with it.
        return None
    names = (f"profile {profile}", profile)
    section = next((parser[name] for name in names if name in parser), None)
    if section is None or section.get("ignore_configured_endpoint_urls", "").lower() == "true":
        return None
    services = f"services {section.get('services', '')}"
    of_service = parser.get(services, _SERVICE, fallback="")
    found = _ENDPOINT.search(of_service)
    return found[1] if found else section.get("endpoint_url")
