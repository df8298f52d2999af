"""What an SDK reads from the environment, resolved like the SDK does but without it, because a hit needs no SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.keys import is_transport_header, normalise_endpoint
from spark_cache.providers.dialect import Added

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Sdk"]


class Sdk(NamedTuple):
    """The properties of an SDK.

    Attributes:
        module: Its module, which is also the name of the extra that installs it.
        client: The class of its asynchronous client.
        own_address: The default address.
        variables: The prefix of its environment variables.
        own_headers: Headers that are sent with this value unless the caller sets another, so that a key does not depend on
            the version of the SDK. In lower case.
        choose_address: Arguments by which the client chooses the address itself.
        resolve: Completes the arguments of a client from the environment; None if the client needs nothing else.
    """

    module: str
    client: str
    own_address: str
    variables: str
    own_headers: Mapping[str, str]
    choose_address: Sequence[str]
    resolve: Callable[[Mapping[str, Any], Mapping[str, str]], dict[str, Any]] | None = None

    def is_not_given(self, value: object) -> bool:
        """Whether a value is one of the SDK's markers for an argument that is not given.

        Args:
            value: The value.
        """
        kind = type(value)
        return kind.__name__ in ("NotGiven", "Omit") and kind.__module__.partition(".")[0] == self.module

    def can_matter(self, header: str, value: str) -> bool:
        """Whether a header can change the response.

        Args:
            header: The name of the header.
            value: Its value.
        """
        name = header.lower()
        return not is_transport_header(name) and self.own_headers.get(name) != value

    def address(self, environ: Mapping[str, str]) -> str:
        """Return the base URL that the environment names, or the default.

        Args:
            environ: The environment.
        """
        return environ.get(f"{self.variables}_BASE_URL") or self.own_address

    def headers(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of the environment that can change a response. The environment has one header in each line.

        Args:
            environ: The environment.
        """
        lines = environ.get(f"{self.variables}_CUSTOM_HEADERS", "").split("\n")
        parts = (line.partition(":") for line in lines)
        headers = {name.strip(): value.strip() for name, colon, value in parts if colon}
        return {name: value for name, value in headers.items() if self.can_matter(name, value)}

    def added(self, environ: Mapping[str, str]) -> Added:
        """Return what a client without arguments adds to every request.

        Args:
            environ: The environment.
        """
        return Added(
            normalise_endpoint(self.address(environ), self.own_address), headers=self.headers(environ)
        )
