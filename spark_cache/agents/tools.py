"""Tools: functions that a model may call, what it is told of them, and what it is told of their results."""

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

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

Check = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Makes the arguments of a function out of those that a model wrote."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call.

    :meth:`of` derives all but the function from the function itself. Made by hand, the arguments reach the function as the
    model wrote them, by name.

    Attributes:
        function: What is called, synchronous (in a thread) or not.
        name: What the model knows it by.
        description: What the model is told of it.
        parameters: The JSON schema of its arguments, an object.

    Raises:
        ValueError: The name is none that models take.
    """

    function: Callable[..., Any]
    name: str
    description: str
    parameters: Mapping[str, Any]
    _check: Check = field(default=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"a tool cannot be called {self.name!r}: a name is 1 to 64 of A-Z, a-z, 0-9, _ and -; see Tool.of(…, name=…)"
            )

    @classmethod
    def of(
        cls, function: Callable[..., Any], *, name: str | None = None, description: str | None = None
    ) -> Tool:
        """Describe a function by its signature and docstring, and check its arguments against the signature.

        Args:
            function: The function. The types of its parameters may be whatever pydantic knows, and
                ``Annotated[str, Field(description=…)]`` describes one.
            name: What the model knows it by; None is its own name.
            description: What the model is told of it; None is its docstring.

        Raises:
            TypeError: It is no function, or it has a parameter that a model cannot name, or a type that has no JSON schema.
        """
        if not callable(function):
            raise TypeError(f"a tool is a function or a Tool, not {type(function).__name__}")
        known_as = name or str(getattr(function, "__name__", type(function).__name__))
        parameters, check = _described(function, known_as)
        told = description if description is not None else inspect.getdoc(function) or ""
        return cls(function, known_as, told, parameters, check)

    @property
    def spec(self) -> dict[str, Any]:
        """What the model is told."""
        return {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}

    async def answer(self, call: ToolCall) -> tuple[str, bool]:
        """Run it.

        Args:
            call: What the model asks for.

        Returns:
            What to tell the model (a text as it is, anything else as JSON), and whether that is an error.
        """
        try:
            if not call.arguments and call.arguments_text.strip() not in ("", "{}"):
                return "the arguments are not a JSON object", True
            return _text(await self._run(self._check(call.arguments))), False
        except Exception as error:  # noqa: BLE001 - whatever is wrong, the model may know another way
            return f"{type(error).__name__}: {error}", True

    async def _run(self, arguments: Mapping[str, Any]) -> Any:
        if inspect.iscoroutinefunction(self.function):
            return await self.function(**arguments)
        result = await asyncio.to_thread(self.function, **arguments)
        # A callable object, or a function around a coroutine function, shows only now what it is.
        return await result if inspect.isawaitable(result) else result


def _text(result: Any) -> str:
    if isinstance(result, str):
        return result
    from pydantic_core import to_json  # noqa: PLC0415 - only agents with tools need it

    return to_json(result, inf_nan_mode="constants").decode()


def _described(function: Callable[..., Any], name: str) -> tuple[dict[str, Any], Check]:
    """The JSON schema of a function's arguments, and what checks them."""
    from pydantic import ConfigDict, Field, ValidationError, create_model  # noqa: PLC0415 - only agents with tools need it
    from pydantic.errors import PydanticUserError  # noqa: PLC0415 - the same
    from pydantic.json_schema import GenerateJsonSchema  # noqa: PLC0415 - the same

    class Plain(GenerateJsonSchema):
        """Without a title for each parameter, which only repeats its name."""

        def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
            return False

    fields: dict[str, Any] = {}
    try:
        # Under names of our own: pydantic keeps some for itself, and takes none that begins with an underscore.
        for number, parameter in enumerate(inspect.signature(function, eval_str=True).parameters.values()):
            if parameter.kind not in _NAMED:
                raise TypeError(f"{parameter} has no name that a model could give a value to")  # noqa: TRY301 - told below
            kind = Any if parameter.annotation is parameter.empty else parameter.annotation
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[f"argument_{number}"] = (kind, Field(default, alias=parameter.name))
        model = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
        schema = model.model_json_schema(schema_generator=Plain)
    except (NameError, TypeError, ValueError, PydanticUserError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise TypeError(
            f"the tool {name!r} cannot be described: {reason}. Describe it yourself, as a spark_cache.agents.Tool"
        ) from error
    names = {known: str(field.alias) for known, field in model.model_fields.items()}
    del schema["title"]

    def check(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            checked = model.model_validate(arguments)
        except ValidationError as error:
            # Pydantic's own text has addresses of its documentation, which no model needs.
            wrong = [
                f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)
            ]
            raise ValueError("; ".join(wrong)) from error
        return {names[known]: getattr(checked, known) for known in checked.model_fields_set}

    return schema, check
