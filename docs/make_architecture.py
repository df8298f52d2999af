"""Draw the rooms of the package and their imports into ``docs/images/architecture.svg``.

The picture is made from the imports of the source, so it stays true. A test compares it with what this program makes::

    python docs/make_architecture.py          # writes the picture
    python docs/make_architecture.py --check  # fails if the picture is out of date
"""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "spark_cache"
PICTURE = Path(__file__).parent / "images" / "architecture.svg"

BOX_WIDTH, BOX_HEIGHT = 108, 34
COLUMN, ROW = 132, 76
MARGIN = 24


def layers() -> list[list[str]]:
    """Return the rooms of each layer of the import contract, highest first, without the rooms that do not exist yet."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (contract,) = (contract for contract in contracts if contract["type"] == "layers")
    rows = []
    for layer in contract["layers"]:
        # Rooms with a colon between them share a layer, and the first may import the second.
        for group in layer.split(":"):
            names = [name.strip().removeprefix("spark_cache.") for name in group.split("|")]
            rows.append([name for name in names if not name.startswith("(")])
    return rows


def imports() -> dict[str, set[str]]:
    """Return the rooms that each room imports, including imports for type checkers only."""
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        targets = found.setdefault(room, set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spark_cache."):
                targets.add((node.module or "").split(".")[1])
    return {room: targets - {room} for room, targets in found.items()}


def direct(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the edges that are not implied by a longer path."""

    def reachable(room: str) -> set[str]:
        return set().union(*({target} | reachable(target) for target in edges.get(room, ())))

    return {
        room: {
            target
            for target in targets
            if not any(target in reachable(other) for other in targets if other != target)
        }
        for room, targets in edges.items()
    }


def draw() -> str:
    """Return the picture as SVG."""
    rows, edges = layers(), direct(imports())
    width = max(map(len, rows)) * COLUMN - (COLUMN - BOX_WIDTH) + 2 * MARGIN
    height = (len(rows) - 1) * ROW + BOX_HEIGHT + 2 * MARGIN
    place = {}
    for number, row in enumerate(rows):
        left = (width - len(row) * COLUMN + (COLUMN - BOX_WIDTH)) / 2
        for column, room in enumerate(row):
            place[room] = left + column * COLUMN, MARGIN + number * ROW
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
            'font-size="13" role="img" aria-label="The rooms of the package and their imports">'
        ),
        (
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0 L8 4 L0 8 z" fill="#8a94a6"/></marker></defs>'
        ),
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for room in sorted(edges):
        for target in sorted(edges[room]):
            (x, y), (x2, y2) = place[room], place[target]
            start, end = x + BOX_WIDTH / 2, x2 + BOX_WIDTH / 2
            top, bottom = y + BOX_HEIGHT, y2
            # An arrow past a row in between bends around the box that stands there.
            bend = BOX_WIDTH if y2 - y > ROW and abs(end - start) < BOX_WIDTH else 0
            lines.append(
                f'<path d="M{start:g} {top:g} C{start - bend:g} {top + 28:g} {end - bend:g} {bottom - 28:g} {end:g} {bottom:g}" '
                'fill="none" stroke="#8a94a6" stroke-width="1.2" marker-end="url(#tip)"/>'
            )
    for room, (x, y) in place.items():
        lines.append(
            f'<rect x="{x:g}" y="{y:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6" fill="#eef3fb" stroke="#4c6a9c"/>'
            f'<text x="{x + BOX_WIDTH / 2:g}" y="{y + 22:g}" text-anchor="middle" fill="#1d2b45">{room}</text>'
        )
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    made = draw()
    if "--check" not in sys.argv:
        PICTURE.write_text(made, encoding="utf-8")
    elif PICTURE.read_text(encoding="utf-8") != made:
        sys.exit("docs/images/architecture.svg is out of date: run python docs/make_architecture.py")
