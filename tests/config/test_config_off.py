"""With the cache off, nothing that belongs to other programs raises an error. With it on, one error names the file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spark_cache import ConfigError
from spark_cache.config.check import check
from spark_cache.config.secret import read_key_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from config_world import World


KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def latin(world: World) -> None:
    world.dotenv("").write_bytes("# clé de la base\nDATABASE_URL=x\n".encode("latin-1"))


def utf_16(world: World) -> None:
    world.dotenv("").write_bytes("DATABASE_URL=x\r\n".encode("utf-16"))


SURROUNDINGS = {"latin-1": latin, "utf-16": utf_16}


@pytest.mark.parametrize("prepare", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_an_unreadable_dotenv_counts_only_if_the_cache_is_on(
    world: World, prepare: Callable[[World], None]
) -> None:
    """The file belongs to another program. The check names it in either case."""
    prepare(world)

    assert not world.load().enabled
    assert not world.load(enabled=False).enabled
    assert "cannot be read" in str(check(None, world.context()).warnings)
    with pytest.raises(ConfigError, match=r"\.env: cannot be read: the file is not UTF-8 text"):
        world.load(enabled=True)


def test_a_rule_that_turns_the_cache_on_counts(world: World) -> None:
    """The cache is on for some models, so the file matters."""
    latin(world)

    with pytest.raises(ConfigError, match="cannot be read"):
        world.load(rules=[{"model": "gpt-4o*", "enabled": True}])


@pytest.mark.parametrize(
    "line", ["SPARK_MASTER spark://host:7077", "SPARK_HOME /opt/spark", "ENVIRONMENTS a b"]
)
def test_a_malformed_line_of_another_program_is_not_an_error(world: World, line: str) -> None:
    """Apache Spark has variables that begin like ours."""
    world.dotenv(f"{line}\n")

    assert world.load(enabled=True).enabled


def test_a_named_pipe_is_not_read(world: World) -> None:
    """Reading it could wait forever. The explanation says that it was skipped."""
    path = world.project / ".env"
    os.mkfifo(path)

    resolution = world.resolve()

    assert resolution.problems == ()
    assert resolution.tried[path] == "skipped: not a regular file"


def test_without_shipped_profiles_the_defaults_hold(world: World) -> None:
    """A bundle may leave out data files. The cache is off then, as it is in production."""
    world.environ["ENVIRONMENT"] = "testing"

    assert not world.load().enabled


def test_a_profiles_folder_of_another_user_is_empty(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under ``sudo -E``, the home directory belongs to root."""
    world.environ["ENVIRONMENT"] = "qa"
    real = os.listdir

    def listdir(path: object) -> object:
        if str(path) == str(world.user_profiles):
            raise PermissionError(13, "Permission denied")
        return real(path)  # type: ignore[call-overload]

    world.user("mine", "[cache]\n")
    monkeypatch.setattr(os, "listdir", listdir)

    assert not world.load().enabled


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SPARK_CACHE_DIR", '"/var/cache/app"'),
        ("SPARK_CACHE_NAMESPACE", "'team'"),
        ("SPARK_CACHE_TTL", '"90s"'),
    ],
)
def test_quotes_in_a_variable_are_an_error(world: World, variable: str, value: str) -> None:
    """``docker run --env-file`` keeps the quotes of the file. No directory with a quote in its name is created."""
    world.environ[variable] = value

    with pytest.raises(ConfigError) as caught:
        world.load()

    message = f"environment: {variable}: {value!r} has quotes, which are part of the value: remove them"
    assert str(caught.value) == message


def test_carriage_returns_and_blanks_are_removed(world: World) -> None:
    """They come from files that were written on Windows."""
    world.environ |= {
        "SPARK_CACHE_NAMESPACE": " team\r",
        "SPARK_CACHE_DIR": "/x\r",
        "SPARK_CACHE_TTL": "90s\r",
    }

    config = world.load()

    assert (config.namespace, str(config.cache_dir), config.ttl_seconds) == ("team", "/x", 90)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("SPARK_ENABLE_CAHCE", "SPARK_ENABLE_CACHE"),
        ("SPARK_PROFLE", "SPARK_PROFILE"),
        ("SPARK_CACHE_TLL", "SPARK_CACHE_TTL"),
    ],
)
def test_a_misspelt_variable_is_named(world: World, variable: str, meant: str) -> None:
    """The warning names the closest variable, although the cache stays off."""
    world.environ[variable] = "1"

    (warning,) = world.resolve().warnings

    assert str(warning).endswith(f"unknown variable {variable} is ignored; did you mean {meant}?")


@pytest.mark.parametrize(
    "variable", ["SPARK_HOME", "SPARK_MASTER", "SPARK_LOCAL_DIRS", "SPARK_CONF_DIR", "SPARK_LOG_DIR"]
)
def test_variables_of_apache_spark_are_left_alone(world: World, variable: str) -> None:
    """They are not misspelt."""
    world.environ[variable] = "1"

    assert world.resolve().warnings == ()


def test_a_profile_is_found_whatever_its_case(world: World) -> None:
    """``ENVIRONMENT=qa`` finds ``QA.toml`` on every file system."""
    world.profile("QA", '[cache]\nnamespace = "found"\n')
    world.environ["ENVIRONMENT"] = "qa"

    assert (world.load().profile, world.load().namespace) == ("QA", "found")


def test_warn_is_a_level(world: World) -> None:
    """Several logging libraries call the level ``warn``."""
    world.environ["SPARK_CACHE_LOG_LEVEL"] = "warn"

    assert world.load().log_level == "WARNING"


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A secret as Kubernetes mounts it: root's, read-only, behind two links in a folder of root's."""
    place = Path(tempfile.mkdtemp(dir="/var/tmp"))
    place.chmod(0o755)
    folder = place / "..2026_11_27"
    folder.mkdir()
    (folder / "spark.key").write_text(f"{KEY}\n")
    (folder / "spark.key").chmod(0o440)
    (place / "..data").symlink_to(folder.name)
    (place / "spark.key").symlink_to("..data/spark.key")
    yield place
    shutil.rmtree(place)


is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a secret of root")


@is_root
@pytest.mark.parametrize("mode", [0o400, 0o440, 0o444])
@pytest.mark.parametrize("name", ["spark.key", "..data/spark.key"])
def test_a_mounted_key_file_is_accepted(mounted: Path, mode: int, name: str) -> None:
    """Nobody but root can change it, and a container has no other users to hide it from."""
    (mounted / "..data" / "spark.key").chmod(mode)

    assert read_key_file(mounted / name, None) == (KEY,)


@is_root
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda place: (place / "..data" / "spark.key").chmod(0o644), "symbolic link"),
        (lambda place: os.chown(place / "..data" / "spark.key", 65534, 0), "symbolic link"),
        (lambda place: os.chown(place / "..2026_11_27", 65534, 0), "symbolic link"),
        (lambda place: place.chmod(0o777), "symbolic link"),
    ],
    ids=[
        "writable by root",
        "of another user",
        "in a folder of another user",
        "in a folder that others can change",
    ],
)
def test_a_key_file_that_others_can_replace_is_refused(
    mounted: Path, change: Callable[[Path], object], reason: str
) -> None:
    """Then the rules of ordinary key files apply, and those refuse links."""
    change(mounted)

    with pytest.raises(ValueError, match=reason):
        read_key_file(mounted / "spark.key", None)


@is_root
def test_a_sticky_folder_is_safe(mounted: Path) -> None:
    """Kubernetes mounts secrets in a folder with mode 1777. Only root can replace root's links in it."""
    mounted.chmod(0o1777)

    assert read_key_file(mounted / "spark.key", None) == (KEY,)


FROM_ZIP = """
import sys
sys.path.insert(0, sys.argv[1])
import spark_cache
assert spark_cache.__file__.startswith(sys.argv[1])
from spark_cache import load_config
config = load_config("testing")
print(config.enabled, config.origins["enabled"].place, *config.provenance.origins["profile"].shadows)
"""


def test_the_shipped_profiles_are_found_in_a_zip(tmp_path: Path) -> None:
    """The package may be imported from an archive."""
    root = Path(__file__).parents[2]
    tree = tmp_path / "tree" / "spark_cache"
    shutil.copytree(root / "spark_cache", tree, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "profiles", tree / "_profiles")
    archive = shutil.make_archive(str(tmp_path / "app"), "zip", tmp_path / "tree")

    done = subprocess.run(
        [sys.executable, "-c", FROM_ZIP, archive], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith(f"True {archive}/spark_cache/_profiles/testing.toml:5")


def test_a_cache_directory_that_is_a_file_fails_the_check(world: World) -> None:
    """Every call would go to the provider, with a warning."""
    path = world.write(world.root / "file", "")
    world.environ["SPARK_CACHE_DIR"] = str(path)

    (problem,) = check(None, world.context()).problems

    assert str(problem) == f"environment: SPARK_CACHE_DIR: {path} is not a directory: choose another path"
