"""Azure OpenAI: the arguments of its client, resolved like the SDK does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_cache.providers.openai.dialect import SDK

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AZURE", "is_azure"]

_ARGUMENTS = frozenset(
    {"api_version", "azure_ad_token", "azure_ad_token_provider", "azure_deployment", "azure_endpoint"}
)


def is_azure(arguments: Mapping[str, Any]) -> bool:
    """Return whether arguments are those of the client for Azure.

    Args:
        arguments: The arguments of a client.
    """
    return not _ARGUMENTS.isdisjoint(arguments)


def _resolved(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return arguments with the address and the API version that the environment completes.

    Args:
        arguments: The arguments of the caller.
        environ: The environment.

    Raises:
        ValueError: Neither the arguments nor the environment name the address.
    """
    given = dict(arguments)
    endpoint = given.pop("azure_endpoint", None) or environ.get("AZURE_OPENAI_ENDPOINT")
    deployment = given.pop("azure_deployment", None)
    if given.get("base_url") is None:
        if endpoint is None:
            raise ValueError(
                "Azure has no default address: give azure_endpoint in client_args, or set AZURE_OPENAI_ENDPOINT"
            )
        path = f"/deployments/{deployment}" if deployment else ""
        given["base_url"] = f"{endpoint.rstrip('/')}/openai{path}"
    version = given.get("api_version") or environ.get("OPENAI_API_VERSION")
    if version is not None:
        given["api_version"] = version
        given["default_query"] = {**(given.get("default_query") or {}), "api-version": version}
    return given


AZURE = SDK._replace(client="AsyncAzureOpenAI", resolve=_resolved)
