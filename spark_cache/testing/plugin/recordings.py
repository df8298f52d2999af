"""The files of the recordings: what replaying them saved, and which of them no test used."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_cache.savings.report import savings
from spark_cache.savings.totals import Line, Sums, consumed
from spark_cache.stores.names import folder_name, is_entry_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spark_cache.testing.plugin.tally import Recording, Tally

__all__ = ["savings_of", "unused_recordings"]


def savings_of(hits: Mapping[Recording, int]) -> Mapping[str, Any]:
    """Add up what the recordings saved, from the time and token usage of the recorded calls.

    Args:
        hits: The number of hits of each recording.

    Returns:
        ``seconds_saved``; ``dollars_saved``, None if no price is known; and ``unpriced``, the number of hits without a
        known price.
    """
    lines: dict[Line, Sums] = {}
    today = datetime.now(UTC).date().isoformat()
    for recording, times in hits.items():
        document = _document(recording)
        usage, seconds = document.get("usage"), document.get("latency_seconds")
        size, sums = consumed(usage if isinstance(usage, dict) else {})
        sums.seconds = float(seconds) if isinstance(seconds, int | float) else 0.0
        line = Line(today, "", recording.provider, recording.model, "hit", "", size)
        for _ in range(times):
            lines.setdefault(line, Sums()).add(sums)
    total: Mapping[str, Any] = savings(lines, by="model", since=None)["total"]
    return total


def unused_recordings(folder: Path, tally: Tally) -> list[Path]:
    """Return the recordings of a folder that were neither read nor written, sorted by path.

    Args:
        folder: The folder of the recordings.
        tally: The counts of the run.
    """
    used = {
        (folder_name(recording.provider), folder_name(recording.model), recording.key)
        for recording in (*tally.hits, *tally.stored)
        if recording.folder == str(folder)
    }
    return [
        path
        for path in sorted(folder.glob("[!.]*/*/*.json"))
        if is_entry_name(path.stem) and (*path.parts[-3:-1], path.stem[:12]) not in used
    ]


def _document(recording: Recording) -> dict[str, Any]:
    """Return the content of a recording's file, or an empty dict if it is gone; an encrypted one shows no usage or time."""
    folder = Path(recording.folder, folder_name(recording.provider), folder_name(recording.model))
    for path in folder.glob(f"{recording.key}*.json"):
        try:
            document = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(document, dict):
            return document
    return {}
