"""Python imports this module when it starts under ``spark-cache run``. It gives way to the one that would be imported otherwise.

Any interpreter may find it on ``PYTHONPATH``, so it does nothing where spark-cache cannot be imported.
"""

import os
import sys


def _import_the_next_one() -> None:
    from importlib.machinery import PathFinder  # noqa: PLC0415 - it is none of the program's names
    from importlib.util import module_from_spec  # noqa: PLC0415 - the same

    here = os.path.dirname(os.path.abspath(__file__))
    elsewhere = [path for path in sys.path if os.path.abspath(path or os.curdir) != here]
    spec = PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


def _begin() -> None:
    try:
        from spark_cache.clients.program import begin  # noqa: PLC0415 - the package may be missing
    except ImportError:
        return
    try:
        begin()
    except Exception as error:  # noqa: BLE001 - the program runs in any case
        sys.stderr.write(f"spark-cache: the cache is off in this process: {error}\n")


try:
    _import_the_next_one()
finally:
    _begin()
