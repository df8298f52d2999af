"""How Sphinx builds the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_cache import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "spark-cache"
author = "The spark-cache authors"
copyright = f"2026, {author}"  # noqa: A001 - the name that Sphinx reads
release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
nitpicky = True
# Names of the standard library, of pydantic and of the SDKs lead nowhere, so that the build needs no network. The
# others are imported for type checkers alone, and so appear without their module.
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"(boto3|collections|contextlib|datetime|enum|logging|openai|os|pathlib|pydantic|types|typing)\..*",
    ),
    (
        r"py:.*",
        r"(Answer|Any|Asked|AsyncAnthropic|AsyncOpenAI|Client|Iterable|Iterator|NDArray|Path|PathLike|Sequence|T|TracebackType|date|timedelta)",
    ),
    (r"py:.*", r"spark_cache\.providers\.(dialect|snapshot)\..*"),
    (r"py:.*", r"(Callable|Literal|Mapping|Sequence)\b.*"),
    (
        r"py:.*",
        r"(Added|Arguments|CacheEntry|CostStats|Dialect|Difference|EntryMeta|EntryOwner|FieldDiff|Kind|Miss|Origin|Policy|Request|Rule|Rules|Sink|StreamForm|Tool|ToolCall|Usage|WarmUpRequest)",
    ),
    (r"py:.*", r"spark_cache\.(agents|config|entries)\.\w+\.\w+"),
]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"spark-cache {release}"
html_copy_source = False
html_show_sourcelink = False


def setup(app: Sphinx) -> None:
    """Keep the docstrings of attributes as they are: napoleon would read the text before a colon as a type."""
    written: dict[str, list[str]] = {}

    def remember(
        _app: Sphinx, what: str, name: str, _obj: object, _options: object, lines: list[str]
    ) -> None:
        if what == "attribute":
            written[name] = list(lines)

    def restore(_app: Sphinx, what: str, name: str, _obj: object, _options: object, lines: list[str]) -> None:
        if what == "attribute":
            lines[:] = written.pop(name)

    app.connect("autodoc-process-docstring", remember, priority=400)
    app.connect("autodoc-process-docstring", restore, priority=600)
