"""Capture requests: ``python -m benchmarks.capture FILE``, in an environment with the SDKs and frameworks.

FILE gets one entry for each call: the client, the interface, the kind of question, and the request with its headers. It also gets
the versions of the packages. Credentials are removed, and the address of the server.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.capture.clients import CALLS
from benchmarks.capture.server import Recorder

PACKAGES = (
    "anthropic",
    "boto3",
    "google-genai",
    "langchain-anthropic",
    "langchain-aws",
    "langchain-google-genai",
    "langchain-openai",
    "litellm",
    "openai",
    "openai-agents",
    "pydantic-ai-slim",
)
JAVASCRIPT_PACKAGES = ("openai", "@anthropic-ai/sdk", "@google/genai")

_CREDENTIALS = ("authorization", "x-api-key", "x-goog-api-key", "cookie")


def main(file: str) -> None:
    """Write what every client sent."""
    captured = []
    for name, ask in CALLS.items():
        client, _, interface = name.partition(" ")
        for kind in ("question", "tool"):
            recorder = Recorder()
            try:
                ask(recorder.url, kind)
            except Exception as error:  # noqa: BLE001 - the answer need not please every client: what counts is the request
                print(f"{name}, {kind}: {type(error).__name__}: {error}"[:200], file=sys.stderr)
            finally:
                recorder.close()
            if recorder.requests:
                captured.append(
                    {"client": client, "interface": interface, "kind": kind, **_shown(recorder.requests[0])}
                )
            else:
                print(f"{name}, {kind}: no request", file=sys.stderr)
    versions = {**{name: _version(name) for name in PACKAGES}, **_javascript_versions()}
    Path(file).write_text(json.dumps({"versions": versions, "requests": captured}, indent=1) + "\n")


def _shown(request: dict[str, Any]) -> dict[str, Any]:
    headers = {
        name: "…" if name in _CREDENTIALS else "127.0.0.1" if name == "host" else value
        for name, value in request["headers"].items()
    }
    return {**request, "headers": headers}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _javascript_versions() -> dict[str, str]:
    listed = subprocess.run(
        ["npm", "ls", "--json", "--depth=0"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(listed.stdout or "{}").get("dependencies", {})
    return {f"{name} (JavaScript)": found[name]["version"] for name in JAVASCRIPT_PACKAGES if name in found}


main(*sys.argv[1:])
