"""Tools: functions that a model can call, their descriptions, and the results that go back to the model."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spark_cache.models import ToolCall

__all__ = ["Tool"]

_VALID_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAMED_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

Check = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Converts the arguments that a model wrote into the arguments of a function."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model can call.

    :meth:`of` derives every other attribute from the function. If you create a tool directly, the function receives its
    arguments by name, exactly as the model wrote them.

    Attributes:
        function: The function. A synchronous function runs in a thread.
        name: The name that the model uses to call the tool.
        description: The description that the model receives.
        parameters: The JSON schema of the arguments. It must describe an object.

    Raises:
        ValueError: Models do not accept the name.
    """

    function: Callable[..., Any]
    name: str
    description: str
    parameters: Mapping[str, Any]
    _check: Check = field(default=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _VALID_NAME.fullmatch(self.name):
            raise ValueError(
                f"invalid tool name {self.name!r}: use 1 to 64 of the characters A-Z, a-z, 0-9, _ and -. See Tool.of(…, name=…)"
            )

    @classmethod
    def of(
        cls, function: Callable[..., Any], *, name: str | None = None, description: str | None = None
    ) -> Tool:
        """Create a tool from a function's signature and docstring, and check its arguments against the signature.

        Args:
            function: The function. Its parameters can have any type that pydantic supports. To describe a parameter, use
                ``Annotated[str, Field(description=…)]``.
            name: The name that the model uses to call the tool. None uses the name of the function.
            description: The description that the model receives. None uses the docstring.

        Returns:
            The tool.

        Raises:
            TypeError: ``function`` is not callable, a parameter cannot be passed by name, or a type has no JSON schema.
            ValueError: Models do not accept the name.
        """
        if not callable(function):
            raise TypeError(f"a tool must be a function or a Tool, not {type(function).__name__}")
        tool_name = name or str(getattr(function, "__name__", type(function).__name__))
        parameters, check = _describe(function, tool_name)
        text = description if description is not None else inspect.getdoc(function) or ""
        return cls(function, tool_name, text, parameters, check)

    @property
    def spec(self) -> dict[str, Any]:
        """The specification that the model receives, with ``name``, ``description`` and ``parameters``."""
        return {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}

    async def answer(self, call: ToolCall) -> tuple[str, bool]:
        """Run the function for a tool call.

        Args:
            call: The tool call from the model.

        Returns:
            The text for the model, and whether it describes an error. A string result is returned unchanged, and any other
            result as JSON.
        """
        try:
            if not call.arguments and call.arguments_text.strip() not in ("", "{}"):
                return "the arguments are not a JSON object", True
            return _text(await self._run(self._check(call.arguments))), False
        except Exception as error:  # noqa: BLE001 - the model receives every error and can try something else
            return f"{type(error).__name__}: {error}", True

    async def _run(self, arguments: Mapping[str, Any]) -> Any:
        if inspect.iscoroutinefunction(self.function):
            return await self.function(**arguments)
        result = await asyncio.to_thread(self.function, **arguments)
        # Only the result shows that a callable object, or a wrapper of a coroutine function, is async.
        return await result if inspect.isawaitable(result) else result


def _text(result: Any) -> str:
    if isinstance(result, str):
        return result
    from pydantic_core import to_json  # noqa: PLC0415 - only agents with tools need it

    return to_json(result, inf_nan_mode="constants").decode()


def _describe(function: Callable[..., Any], name: str) -> tuple[dict[str, Any], Check]:
    """Return the JSON schema of a function's arguments, and a function that checks them."""
    from pydantic import ConfigDict, Field, ValidationError, create_model  # noqa: PLC0415 - only agents with tools need it
    from pydantic.errors import PydanticUserError  # noqa: PLC0415 - the same
    from pydantic.json_schema import GenerateJsonSchema  # noqa: PLC0415 - the same

    class SchemaWithoutTitles(GenerateJsonSchema):
        """A schema generator that omits the titles of parameters, which only repeat their names."""

        def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
            return False

    fields: dict[str, Any] = {}
    try:
        # Use our own field names, because pydantic reserves some names and rejects a leading underscore.
        for number, parameter in enumerate(inspect.signature(function, eval_str=True).parameters.values()):
            if parameter.kind not in _NAMED_KINDS:
                raise TypeError(f"{parameter} cannot be passed by name")  # noqa: TRY301 - reported below
            kind = Any if parameter.annotation is parameter.empty else parameter.annotation
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[f"argument_{number}"] = (kind, Field(default, alias=parameter.name))
        model = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
        schema = model.model_json_schema(schema_generator=SchemaWithoutTitles)
    except (NameError, TypeError, ValueError, PydanticUserError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise TypeError(
            f"cannot describe the tool {name!r}: {reason}. Describe it yourself with spark_cache.agents.Tool"
        ) from error
    names = {field_name: str(field.alias) for field_name, field in model.model_fields.items()}
    del schema["title"]

    def check(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            checked = model.model_validate(arguments)
        except ValidationError as error:
            # Pydantic's own text contains links to its documentation, which a model does not need.
            problems = [
                f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
                for problem in error.errors(include_url=False)
            ]
            raise ValueError("; ".join(problems)) from error
        return {names[field_name]: getattr(checked, field_name) for field_name in checked.model_fields_set}

    return schema, check
