"""The wheel, built from the checkout and installed outside it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN_COMMAND = """
import sys
from importlib.metadata import entry_points
(command,) = entry_points(group="console_scripts", name="spark-cache")
sys.exit(command.load()())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Install the wheel in a new environment that sees the packages of this one, but not the checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True, with_pip=False)
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    site = Path(paths["purelib"])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # Python searches a folder named in a .pth file, but does not read the .pth files in it, such as the checkout's.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def run(installed, *arguments, **environment):
    python = installed / "bin" / "python"
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environment}
    return subprocess.run([python, *arguments], check=False, capture_output=True, text=True, env=env)


def test_wheel_is_typed(wheel):
    """The wheel contains the marker that tells type checkers that the package is typed."""
    assert "spark_cache/py.typed" in zipfile.ZipFile(wheel).namelist()


def test_wheel_contains_every_built_in_profile(wheel):
    """The wheel contains the profiles of the repository, byte for byte."""
    archive = zipfile.ZipFile(wheel)
    built_in = {
        Path(name).name: archive.read(name)
        for name in archive.namelist()
        if name.startswith("spark_cache/_profiles/")
    }

    assert built_in == {path.name: path.read_bytes() for path in (ROOT / "profiles").iterdir()}
    assert set(built_in) >= {"development.toml", "testing.toml", "staging.toml", "production.toml"}


def test_wheel_contains_only_the_package(wheel):
    """The wheel installs no test, document or benchmark."""
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}

    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert tops == {"spark_cache", f"spark_cache-{version}.dist-info"}


def test_versions_agree(installed):
    """The package and its metadata agree on the version."""
    code = "import spark_cache, importlib.metadata as m; print(spark_cache.__version__ == m.version('spark-cache'))"

    assert run(installed, "-c", code).stdout == "True\n"


def test_installed_wheel_does_not_use_the_checkout(installed):
    """Python imports the package from the directory where the wheel is installed."""
    done = run(installed, "-c", "import spark_cache; print(spark_cache.__file__)")

    assert Path(done.stdout.strip()).is_relative_to(installed)


def test_installed_wheel_names_its_built_in_profile(installed):
    """``config show`` reports that a value comes from the profile inside the wheel."""
    done = run(installed, "-c", RUN_COMMAND, "config", "show", ENVIRONMENT="testing")

    assert done.returncode == 0, done.stderr
    assert str(Path("spark_cache") / "_profiles" / "testing.toml") in done.stdout
    assert str(ROOT) not in done.stdout
