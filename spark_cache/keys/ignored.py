"""Fields of a request that the configuration leaves out of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spark_cache.types import Request

__all__ = ["ignored_in", "without_ignored"]


def ignored_in(request: Request, paths: Iterable[str]) -> list[str]:
    """Return those of the paths that lead to a field of a request.

    Args:
        request: The request.
        paths: Paths such as ``body.metadata``, ``body.metadata.run_id`` or ``headers.helicone-session-id``.
    """
    parts = {"body": request.body, "headers": request.headers, "query": request.query}
    return [path for path in paths if _has(parts, path.split("."))]


def without_ignored(request: Request, paths: Iterable[str]) -> Request:
    """Return a request without the fields that some paths lead to.

    Args:
        request: The request, which is not modified.
        paths: The paths.
    """
    for path in ignored_in(request, paths):
        part, *steps = path.split(".")
        changed: dict[str, Any] = {part: _without_field(getattr(request, part), steps)}
        request = request._replace(**changed)
    return request


def _without_field(value: Mapping[str, Any], steps: Sequence[str]) -> dict[str, Any]:
    """Return a dictionary without the field at the end of a path. What is left empty by it is left out too.

    Args:
        value: The dictionary, which is not modified.
        steps: The names that lead to the field.
    """
    name, *rest = steps
    kept = dict(value)
    inner = _without_field(kept[name], rest) if rest else None
    if inner:
        kept[name] = inner
    else:
        del kept[name]
    return kept


def _has(value: Any, steps: Sequence[str]) -> bool:
    for step in steps:
        if not hasattr(value, "keys") or step not in value:
            return False
        value = value[step]
    return True
