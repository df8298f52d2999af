"""Entry point of ``python -m spark_cache.cli`` and of the installed ``spark-cache`` script."""

from __future__ import annotations

import sys

from spark_cache import __version__

__all__ = ["run"]


def run() -> None:
    """Run the command line with the arguments of this process.

    ``--version`` is handled without click, because importing click takes longer than starting Python.
    """
    if sys.argv[1:] == ["--version"]:
        print(f"spark-cache {__version__}")
        return
    from spark_cache.cli.group import main  # noqa: PLC0415 - see above

    main(prog_name="spark-cache")


if __name__ == "__main__":
    run()
