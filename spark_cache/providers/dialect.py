"""How the requests of a provider are written: from the arguments of a call to a request, with pure functions."""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.keys import is_transport_header
from spark_cache.providers.function_tools import is_function, tool_of_function
from spark_cache.providers.snapshot import Rules, snapshot
from spark_cache.types import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Added",
    "Arguments",
    "Dialect",
    "build_request",
    "generic_dialect",
    "given_parameters",
    "plain_arguments",
]

_ORDINARY = frozenset({bool, dict, float, int, list, str, type(None)})
"""Types that are never an SDK's marker for an argument that is not given."""

_TEXTS = (str, bytes)
_EXTRAS = frozenset({"extra_body", "extra_headers", "extra_query"})


class Arguments(NamedTuple):
    """The arguments of a call, as plain values.

    Attributes:
        model_id: The model.
        messages: The conversation; of an embedding, the text.
        system_prompt: System instructions in addition to the messages.
        tool_specs: The tools that the model may call.
        tool_choice: The tool that the model should call.
        output_schema: The schema of a structured answer.
        operation: ``text``, ``json`` or ``embedding``.
        parameters: All other parameters.
    """

    model_id: str
    messages: Any
    system_prompt: Any = None
    tool_specs: Any = None
    tool_choice: Any = None
    output_schema: Mapping[str, Any] | None = None
    operation: str = "text"
    parameters: Mapping[str, Any] = MappingProxyType({})


class Added(NamedTuple):
    """What a client adds to every request.

    Attributes:
        endpoint: The normalised address; None for the provider's own.
        headers: Its headers that can change the response.
        query: Its query parameters.
        body: What it merges into every body.
    """

    endpoint: str | None = None
    headers: Mapping[str, Any] = MappingProxyType({})
    query: Mapping[str, Any] = MappingProxyType({})
    body: Mapping[str, Any] = MappingProxyType({})


class Dialect:
    """How the requests of one provider are written. This one is for providers that the library does not know.

    Attributes:
        name: The name of the provider in keys, folders and rules.
        rules: How values become plain.
        content_rules: The same for messages, in which paths and open files become their bytes.
        options: The parameters that the SDK's function takes besides the body.
        null_is_sent: Whether the SDK sends a parameter that is None as null. Others leave it out.
        has_extras: Whether ``extra_headers``, ``extra_query`` and ``extra_body`` are for the request itself.
    """

    name: str = ""
    rules: Rules = Rules(dates_as_text=False)
    content_rules: Rules = rules._replace(read=True)
    options: frozenset[str] = frozenset({"timeout", "max_retries", "idempotency_key"})
    has_extras: bool = True
    null_is_sent: bool = False

    def is_not_given(self, value: object) -> bool:  # noqa: ARG002 - a default
        """Whether a value is one of the SDK's markers for an argument that is not given.

        Args:
            value: The value.
        """
        return False

    def can_matter(self, header: str, value: Any) -> bool:  # noqa: ARG002 - a default
        """Whether a header can change the response.

        Args:
            header: Its name.
            value: Its value.
        """
        return not is_transport_header(header)

    def checked(self, parameters: dict[str, Any], operation: str) -> dict[str, Any]:  # noqa: ARG002 - a default
        """Return the parameters of a call under the provider's names, with its defaults.

        Args:
            parameters: The parameters, in a new dictionary.
            operation: ``text``, ``json`` or ``embedding``.

        Raises:
            TypeError: A parameter must be given elsewhere.
        """
        return parameters

    def body(self, arguments: Arguments) -> dict[str, Any]:
        """Return the body of a request.

        Args:
            arguments: The arguments of the call.
        """
        named = {
            "messages": arguments.messages,
            "system_prompt": arguments.system_prompt,
            "tool_specs": arguments.tool_specs,
            "tool_choice": arguments.tool_choice,
            "output_schema": arguments.output_schema,
        }
        given = {name: value for name, value in named.items() if value is not None}
        return {**arguments.parameters, **given}

    def merged(self, body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
        """Return a body with additions, merged as the SDK merges them.

        Args:
            body: The body.
            extra: The additions.
        """
        return {**body, **extra}


@lru_cache(maxsize=64)
def generic_dialect(name: str) -> Dialect:
    """Return how the requests of a provider that the library does not know are written.

    Args:
        name: The name of the provider.
    """
    dialect = Dialect()
    dialect.name = name
    return dialect


def build_request(dialect: Dialect, added: Added, arguments: Arguments, sample: int | None = None) -> Request:
    """Build a request from arguments that are plain values.

    Args:
        dialect: How the provider's requests are written.
        added: What the client adds.
        arguments: The arguments of the call.
        sample: The number of this sample.
    """
    given = arguments.parameters
    options: dict[str, Any] = {}
    extra_body: Any = None
    if given:
        separate = dialect.options | _EXTRAS if dialect.has_extras else dialect.options
        if not separate.isdisjoint(given):
            options = {name: given[name] for name in given if name in separate}
            extra_body = options.get("extra_body")
            fields = {name: value for name, value in given.items() if name not in separate}
            arguments = arguments._replace(parameters=fields)
    body = dialect.body(arguments)
    for extra in (added.body, extra_body):
        if extra:
            body = dialect.merged(body, extra)
    headers = query = _NOTHING
    if added.headers or options:
        headers = _headers(dialect, added.headers, options.get("extra_headers"))
    if added.query or options:
        query = {**added.query, **(options.get("extra_query") or {})}
    return Request(
        dialect.name,
        arguments.model_id,
        body,
        arguments.operation,
        added.endpoint,
        headers,
        query,
        sample,
        options or _NOTHING,
    )


_NOTHING: Mapping[str, Any] = MappingProxyType({})


def _headers(dialect: Dialect, added: Mapping[str, Any], given: Any) -> Mapping[str, Any]:
    """Return the headers of a request that can change its response. A later one replaces one of the same name, in any case."""
    headers = {str(name).lower(): value for part in (added, given or {}) for name, value in part.items()}
    return {
        name: value
        for name, value in headers.items()
        if dialect.can_matter(name, value) and not dialect.is_not_given(value)
    }


def plain_arguments(
    dialect: Dialect,
    model_id: str,
    messages: Any,
    system_prompt: Any,
    tool_specs: Any,
    tool_choice: Any,
    output_schema: Mapping[str, Any] | None,
    operation: str,
    parameters: Mapping[str, Any],
) -> Arguments:
    """Return the arguments of a call as plain values: a snapshot that no later change of them reaches.

    Args:
        dialect: How the provider's requests are written.
        model_id: The model.
        messages: The conversation.
        system_prompt: System instructions in addition to the messages.
        tool_specs: The tools that the model may call.
        tool_choice: The tool that the model should call.
        output_schema: The schema of a structured answer.
        operation: ``text`` or ``json``.
        parameters: All other parameters.

    Raises:
        TypeError: ``messages`` or ``tool_specs`` is not a list, or a parameter must be given elsewhere.
    """
    plain = None if isinstance(messages, _TEXTS) else snapshot(messages, dialect.content_rules)
    if type(plain) is not list:
        raise TypeError(
            "messages must be a list of messages, such as [{'role': 'user', 'content': 'Hello'}], "
            f"not {_named(messages)}"
        )
    tools = None
    if system_prompt is not None:
        system_prompt = _plain(system_prompt, dialect)
    if tool_choice is not None:
        tool_choice = _plain(tool_choice, dialect)
    if tool_specs is not None:
        tools = _plain(tool_specs, dialect)
    if type(tools) is list and any(map(is_function, tools)):
        tools = [tool_of_function(tool) if is_function(tool) else tool for tool in tools]
    if tools is not None and type(tools) is not list:
        raise TypeError(
            "tool_specs must be a list of tools, such as [{'name': …, 'description': …, 'parameters': …}], "
            f"not {_named(tool_specs)}"
        )
    return Arguments(
        model_id,
        plain,
        system_prompt,
        tools,
        tool_choice,
        output_schema,
        operation,
        given_parameters(dialect, parameters, operation),
    )


def _named(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _plain(value: Any, dialect: Dialect) -> Any:
    return None if dialect.is_not_given(value) else snapshot(value, dialect.rules)


def given_parameters(dialect: Dialect, parameters: Mapping[str, Any], operation: str) -> dict[str, Any]:
    """Return the parameters of a call as plain values, without markers for arguments that are not given.

    Args:
        dialect: How the provider's requests are written.
        parameters: The parameters.
        operation: ``text``, ``json`` or ``embedding``.
    """
    given = {
        name: value
        for name, value in parameters.items()
        if (value is not None or dialect.null_is_sent)
        and (type(value) in _ORDINARY or not dialect.is_not_given(value))
    }
    checked = dialect.checked(given, operation)
    return {name: snapshot(value, dialect.rules) for name, value in checked.items()} if checked else checked
