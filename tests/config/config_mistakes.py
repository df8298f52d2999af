# ruff: noqa: E501 - a row of a table is one line, so that its message can be read and searched for as a whole
"""What people get wrong, and the exact words they are told: one row for each mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet

if TYPE_CHECKING:
    from collections.abc import Callable

    from config_world import World

SECRET = Fernet.generate_key().decode()
DURATIONS = "write seconds, or 90s, 30m, 24h, 7d, 1h30m"
LIFETIMES = f"{DURATIONS}, or never"
SIZES = "write MB of 2^20 bytes, or 500MB, 2GB, or unlimited"
FLAGS = "write true or false, 1 or 0, yes or no, on or off"
HOW = "make one with Fernet.generate_key() of the package cryptography"
MODES = "read-write, read-only, refresh, replay, bypass"
RULE_KEYS = (
    "cache_version, enabled, encryption, endpoint, mode, model, namespace, provider, sensitive, "
    "store_requests, store_truncated, ttl, ttl_seconds"
)

CACHE_KEYS = (
    "allow_plaintext, cache_dir, cache_version, cleanup_interval_seconds, commit_entries, enabled, encryption, "
    "encryption_key_file, endpoint, fsync, lock_timeout_seconds, log_format, log_level, max_cache_size_mb, "
    "max_size, mode, namespace, recordings_expire, redact, redact_emails, store, store_requests, store_truncated, ttl, ttl_seconds"
)

Case = tuple[str, "Callable[[World], object]", str]


def env(**variables: str) -> Callable[[World], object]:
    return lambda world: world.environ.update(variables)


def dotenv(text: str) -> Callable[[World], object]:
    return lambda world: world.dotenv(text)


def cache(line: str) -> Callable[[World], object]:
    """A project profile with this one line under ``[cache]``, which is line 2, in effect."""
    return profile(f"[cache]\n{line}\n")


def profile(text: str) -> Callable[[World], object]:
    def prepare(world: World) -> None:
        world.profile("mine", text)
        world.environ["SPARK_PROFILE"] = "mine"

    return prepare


def key_file(content: str, mode: int = 0o600, place: str = "keys") -> Callable[[World], object]:
    def prepare(world: World) -> None:
        world.write(world.root / place, content).chmod(mode)
        world.environ["SPARK_CACHE_ENCRYPTION_KEY_FILE"] = str(world.root / place)

    return prepare


def both(*preparations: Callable[[World], object]) -> Callable[[World], object]:
    return lambda world: [prepare(world) for prepare in preparations]


def circle(world: World) -> None:
    world.profile("one", 'extends = "two"\n[cache]\n')
    world.profile("two", '[cache]\nttl = "1h"\n')
    (world.project_profiles / "two.toml").write_text('[cache]\nttl = "1h"\n')
    world.profile("two", 'description = "x"\nextends = "one"\n[cache]\n')
    world.environ["SPARK_PROFILE"] = "one"


def linked_key_file(world: World) -> None:
    key_file(SECRET)(world)
    link = world.root / "link"
    link.symlink_to(world.root / "keys")
    world.environ["SPARK_CACHE_ENCRYPTION_KEY_FILE"] = str(link)


def directory_as_profile(world: World) -> None:
    (world.project_profiles / "mine.toml").mkdir(parents=True)
    world.environ["SPARK_PROFILE"] = "mine"


def latin_profile(world: World) -> None:
    profile("")(world)
    (world.project_profiles / "mine.toml").write_bytes(b'[cache]\nnamespace = "caf\xe9"\n')


def latin_dotenv(world: World) -> None:
    world.dotenv("").write_bytes(b"SPARK_CACHE_NAMESPACE=caf\xe9\n")


def binary_key_file(world: World) -> None:
    key_file("")(world)
    (world.root / "keys").write_bytes(b"\xff\xfe" + SECRET.encode("utf-16-le"))


def open_cache_dir(world: World) -> None:
    profile("[cache]\n\n[guard]\nforbid_world_readable_cache_dir = true\n")(world)
    folder = world.root / "open"
    folder.mkdir()
    folder.chmod(0o755)
    world.environ["SPARK_CACHE_DIR"] = str(folder)


ENVIRONMENT: list[Case] = [
    ("no boolean", env(SPARK_ENABLE_CACHE="maybe"), f"environment: SPARK_ENABLE_CACHE: 'maybe' is neither true nor false: {FLAGS}"),
    ("no duration", env(SPARK_CACHE_TTL="soon"), f"environment: SPARK_CACHE_TTL: 'soon' is not a duration: {LIFETIMES}"),
    ("unknown unit", env(SPARK_CACHE_TTL="3 fortnights"), f"environment: SPARK_CACHE_TTL: '3 fortnights' is not a duration: {LIFETIMES}"),
    ("units in the wrong order", env(SPARK_CACHE_TTL="30m1h"), f"environment: SPARK_CACHE_TTL: '30m1h' is not a duration: {LIFETIMES}"),
    ("not a number", env(SPARK_CACHE_TTL="nan"), f"environment: SPARK_CACHE_TTL: 'nan' is not a duration: {LIFETIMES}"),
    ("negative duration", env(SPARK_CACHE_TTL="-5"), f"environment: SPARK_CACHE_TTL: '-5' is negative: {LIFETIMES}"),
    ("absurd duration", env(SPARK_CACHE_TTL="999999d"), f"environment: SPARK_CACHE_TTL: '999999d' is longer than 100 years, the longest duration accepted: {LIFETIMES}"),
    ("overflowing duration", env(SPARK_CACHE_TTL="1e9999"), f"environment: SPARK_CACHE_TTL: '1e9999' is longer than 100 years, the longest duration accepted: {LIFETIMES}"),
    ("never where there must be an end", env(SPARK_CACHE_LOCK_TIMEOUT="never"), f"environment: SPARK_CACHE_LOCK_TIMEOUT: 'never' is not a duration: {DURATIONS}"),
    ("no size", env(SPARK_CACHE_MAX_SIZE="big"), f"environment: SPARK_CACHE_MAX_SIZE: 'big' is not a size: {SIZES}"),
    ("no size at all", env(SPARK_CACHE_MAX_SIZE="0"), f"environment: SPARK_CACHE_MAX_SIZE: '0' is not above 0: {SIZES}; enabled = false switches the cache off"),
    ("negative size", env(SPARK_CACHE_MAX_SIZE_MB="-1"), f"environment: SPARK_CACHE_MAX_SIZE_MB: '-1' is not above 0: {SIZES}; enabled = false switches the cache off"),
    ("absurd size", env(SPARK_CACHE_MAX_SIZE="9000TB"), f"environment: SPARK_CACHE_MAX_SIZE: '9000TB' is larger than 1024TB, the largest size accepted: {SIZES}"),
    ("both spellings of a variable", env(SPARK_CACHE_MAX_SIZE="1", SPARK_CACHE_MAX_SIZE_MB="1"), "environment: SPARK_CACHE_MAX_SIZE_MB: the same field is also given as SPARK_CACHE_MAX_SIZE: keep one"),
    ("no mode", env(SPARK_CACHE_MODE="write-only"), f"environment: SPARK_CACHE_MODE: 'write-only' is not one of {MODES}"),
    ("no level of encryption", env(SPARK_CACHE_ENCRYPTION="true"), "environment: SPARK_CACHE_ENCRYPTION: 'true' is not one of off, sensitive, all"),
    ("no store", env(SPARK_CACHE_STORE="disk"), "environment: SPARK_CACHE_STORE: 'disk' is not one of file, memory"),
    ("no log level", env(SPARK_CACHE_LOG_LEVEL="loud"), "environment: SPARK_CACHE_LOG_LEVEL: 'loud' is not one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
    ("no log format", env(SPARK_CACHE_LOG_FORMAT="xml"), "environment: SPARK_CACHE_LOG_FORMAT: 'xml' is not one of console, json"),
    ("text of two lines", env(SPARK_CACHE_NAMESPACE="a\nb"), "environment: SPARK_CACHE_NAMESPACE: 'a\\nb' is not accepted: write 1 to 200 printable characters on one line"),
    ("unset variable in a path", env(SPARK_CACHE_DIR="$NOWHERE/x"), "environment: SPARK_CACHE_DIR: '$NOWHERE/x' names the variable NOWHERE, which is not set"),
    ("unknown profile", env(SPARK_PROFILE="prodcution"), "environment: SPARK_PROFILE: there is no profile 'prodcution'; did you mean production?"),
    ("profile that is a path", env(SPARK_PROFILE="../production"), "environment: SPARK_PROFILE: there is no profile '../production'; did you mean production?"),
    ("no folder of profiles", env(SPARK_PROFILES_DIR="nowhere"), "environment: SPARK_PROFILES_DIR: there is no directory {world.project}/nowhere"),
    ("folder of profiles from an unset variable", env(SPARK_PROFILES_DIR="$NOWHERE"), "environment: SPARK_PROFILES_DIR: '$NOWHERE' names the variable NOWHERE, which is not set"),
    (".env that is not UTF-8", latin_dotenv, "{world.project}/.env: cannot be read: it is not UTF-8 text"),
    ("malformed line", dotenv("# x\n\nSPARK_CACHE_TTL 90s\n"), "{world.project}/.env:3: this line is malformed: write NAME=value, with quotes around a value of several words"),
    ("open quote", dotenv('export SPARK_CACHE_NAMESPACE="x\n'), "{world.project}/.env:1: this line is malformed: write NAME=value, with quotes around a value of several words"),
    ("bad value in .env", dotenv("A=1\nSPARK_CACHE_TTL=soon\n"), f"{{world.project}}/.env:2: SPARK_CACHE_TTL: 'soon' is not a duration: {LIFETIMES}"),
    ("unknown profile in .env", dotenv("SPARK_PROFILE=stagin\n"), "{world.project}/.env:1: SPARK_PROFILE: there is no profile 'stagin'; did you mean staging?"),
]  # fmt: skip

TOML = "{world.project}/profiles/mine.toml"
PROFILES: list[Case] = [
    ("syntax error", profile('[cache]\nttl = "1h"\nmode = refresh\n'), TOML + ":3: is not valid TOML: Invalid value"),
    ("open string", profile('[cache]\nttl = "1h\n'), TOML + ":2: is not valid TOML: Illegal character '\\n'"),
    ("duplicate key", profile("[cache]\nttl = 1\nttl = 2\n"), TOML + ":3: is not valid TOML: Cannot overwrite a value"),
    ("not UTF-8", latin_profile, TOML + ": is not UTF-8 text, as TOML must be"),
    ("nested without end", profile("[cache]\nttl = " + "[" * 20000 + "]" * 20000 + "\n"), TOML + ": is nested too deeply to be read"),
    ("a directory", directory_as_profile, TOML + ": is not a regular file"),
    ("unknown key", cache('tll = "1h"'), TOML + ":2: cache.tll: [cache] has no such key; did you mean ttl?"),
    ("unknown table", profile('[cache]\n\n[gaurd]\nmax_ttl = "1h"\n'), TOML + ":3: gaurd: a profile has no such key; did you mean guard?"),
    ("key outside of its table", profile('ttl = "1h"\n[cache]\n'), TOML + ":1: ttl: belongs under [cache]"),
    ("profile inside a profile", cache('profile = "testing"'), TOML + ":2: cache.profile: [cache] has no such key; there are " + CACHE_KEYS),
    ("both spellings of a field", profile('[cache]\nttl_seconds = 60\nttl = "1m"\n'), TOML + ":3: cache.ttl: the same field is also given as cache.ttl_seconds: keep one"),
    ("both spellings of the size", profile("[cache]\nmax_size = 60\nmax_cache_size_mb = 1\n"), TOML + ":3: cache.max_cache_size_mb: the same field is also given as cache.max_size: keep one"),
    ("keys in TOML", cache(f'encryption_keys = ["{SECRET}"]'), TOML + ":2: cache.encryption_keys: keys do not belong in a profile: set SPARK_CACHE_ENCRYPTION_KEY in the environment, or name a file with encryption_key_file"),
    ("a key in TOML", cache(f'encryption_key = "{SECRET}"'), TOML + ":2: cache.encryption_key: keys do not belong in a profile: set SPARK_CACHE_ENCRYPTION_KEY in the environment, or name a file with encryption_key_file"),
    ("boolean as a duration", cache("ttl = true"), TOML + f":2: cache.ttl: true is not a duration: {LIFETIMES}"),
    ("infinite duration", cache("ttl = inf"), TOML + f":2: cache.ttl: inf is longer than 100 years, the longest duration accepted: {LIFETIMES}"),
    ("list as a duration", cache("ttl = [1, 2]"), TOML + f":2: cache.ttl: [1, 2] is not a duration: {LIFETIMES}"),
    ("table as a mode", cache("mode = { a = 1 }"), TOML + f":2: cache.mode: a table is not one of {MODES}"),
    ("number as a boolean", cache("enabled = 2"), TOML + f":2: cache.enabled: 2 is neither true nor false: {FLAGS}"),
    ("number as a path", cache("cache_dir = 5"), TOML + ":2: cache.cache_dir: 5 is not a path: write for example ./dev_cache or ~/.cache/app"),
    ("list as text", cache('namespace = ["a"]'), TOML + ":2: cache.namespace: ['a'] is not accepted: write 1 to 200 printable characters on one line"),
    ("cache is no table", profile("cache = 1\n"), TOML + ":1: cache: must be a table: write [cache]"),
    ("rules are no list", profile("[cache]\n[rules]\nmodel = 1\n"), TOML + ":2: rules: must be a list of tables: write [[rules]]"),
    ("extends is no text", profile("extends = 5\n[cache]\n"), TOML + ":1: extends: must be text"),
    ("rule is no table", profile("rules = [1]\n[cache]\n"), TOML + ':1: rules[0]: 1 is not a table: write model = "gpt-4o*" and what holds for it'),
    ("description is no text", profile("description = 1\n[cache]\n"), TOML + ":1: description: must be text"),
    ("unknown key in a rule", profile('[cache]\n[[rules]]\nmodel = "a"\nfsync = true\n'), TOML + f":4: rules[0].fsync: a rule has no such key; there are {RULE_KEYS}"),
    ("bad value in a rule", profile('[cache]\n[[rules]]\nmodel = "a"\nttl = "1h"\n[[rules]]\nmodel = "b"\nttl = "x"\n'), TOML + f":7: rules[1].ttl: 'x' is not a duration: {LIFETIMES}"),
    ("rule without a pattern", profile('[cache]\n[[rules]]\nttl = "1h"\n'), TOML + ":2: rules[0]: a rule without provider and model matches everything: write it under [cache]"),
    ("rule that sets nothing", profile('[cache]\n[[rules]]\nmodel = "a"\n'), TOML + ':2: rules[0]: a rule that sets nothing: add for example ttl = "1h" or sensitive = true'),
    ("both spellings in a rule", profile('[cache]\n[[rules]]\nmodel = "a"\nttl = 1\nttl_seconds = 1\n'), TOML + ":5: rules[0].ttl_seconds: the same field is also given as ttl: keep one"),
    ("pattern that is no text", profile("[cache]\n[[rules]]\nmodel = 4\nttl = 1\n"), TOML + ":3: rules[0].model: 4 is not a pattern: write a name or a glob such as gpt-4o*"),
    ("extends nothing known", profile('extends = "stagging"\n[cache]\n'), TOML + ":1: extends: there is no profile 'stagging'; did you mean staging?"),
    ("extends itself alone", profile('extends = "mine"\n[cache]\n'), TOML + ":1: extends: there is no profile 'mine' below this one"),
    ("extends in a circle", circle, "{world.project}/profiles/two.toml:2: extends: profiles extend each other in a circle: one → two → one"),
    ("unknown guard", profile('[cache]\n[guard]\nmax_tll = "1h"\n'), TOML + ":3: guard.max_tll: [guard] has no such condition; did you mean max_ttl?"),
    ("bad value of a guard", profile('[cache]\n[guard]\nforbid_modes = ["writing"]\n'), TOML + f":3: guard.forbid_modes: 'writing' is not one of {MODES}"),
]  # fmt: skip

KEYS: list[Case] = [
    ("a passphrase", env(SPARK_CACHE_ENCRYPTION_KEY="correct horse " + SECRET), f"environment: SPARK_CACHE_ENCRYPTION_KEY: key 1 of 1 is not a Fernet key: it has 58 characters, not 44 (a passphrase is not accepted); {HOW}"),
    ("a key cut short", env(SPARK_CACHE_ENCRYPTION_KEY=SECRET[:-3]), f"environment: SPARK_CACHE_ENCRYPTION_KEY: key 1 of 1 is not a Fernet key: it has 41 characters, not 44 (a passphrase is not accepted); {HOW}"),
    ("not base64", env(SPARK_CACHE_ENCRYPTION_KEY="!" + SECRET[1:]), f"environment: SPARK_CACHE_ENCRYPTION_KEY: key 1 of 1 is not a Fernet key: it is not URL-safe base64; {HOW}"),
    ("a bad key where all is to be encrypted", env(SPARK_CACHE_ENCRYPTION="all", SPARK_CACHE_ENCRYPTION_KEY="x"), f"environment: SPARK_CACHE_ENCRYPTION_KEY: key 1 of 1 is not a Fernet key: it has 1 characters, not 44 (a passphrase is not accepted); {HOW}"),
    ("the same key twice", env(SPARK_CACHE_ENCRYPTION_KEY=f"{SECRET},{SECRET}"), "environment: SPARK_CACHE_ENCRYPTION_KEY: key 2 of 2 is the same as key 1"),
    ("all without a key", env(SPARK_CACHE_ENCRYPTION="all"), "environment: SPARK_CACHE_ENCRYPTION: 'all' needs a key: set SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE"),
    ("a rule with all without a key", profile('[cache]\n\n[[rules]]\nmodel = "a"\nencryption = "all"\n'), TOML + ':3: rules[0]: a rule with encryption = "all" needs a key: set SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE'),
    ("a second rule with all without a key", profile('[cache]\n[[rules]]\nmodel = "a"\nttl = 1\n[[rules]]\nmodel = "b"\nencryption = "all"\n'), TOML + ':5: rules[1]: a rule with encryption = "all" needs a key: set SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE'),
    ("both key and key file", both(key_file(SECRET), env(SPARK_CACHE_ENCRYPTION_KEY=SECRET)), "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: both keys and a key file are given: keep one"),
    ("key file for everybody", key_file(SECRET, 0o644), "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file {world.root}/keys is open to others (mode 0644): run chmod 600 on it"),
    ("key file for the group", key_file(SECRET, 0o640), "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file {world.root}/keys is open to others (mode 0640): run chmod 600 on it"),
    ("no key file", env(SPARK_CACHE_ENCRYPTION_KEY_FILE="/nowhere/keys"), "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file /nowhere/keys cannot be read: No such file or directory"),
    ("a link to a key file", linked_key_file, "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file {world.root}/link is a symbolic link: name the file itself"),
    ("a directory as key file", env(SPARK_CACHE_ENCRYPTION_KEY_FILE="/"), "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file / is not a regular file"),
    ("key file inside the cache", both(key_file(SECRET, place="home/.cache/spark/llm-responses/keys")), "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file {world.root}/home/.cache/spark/llm-responses/keys lies inside the cache directory {world.root}/home/.cache/spark/llm-responses: keep it elsewhere"),
    ("a huge key file", key_file(f"{SECRET}\n" * 2000), "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file {world.root}/keys is larger than 64 KiB"),
    ("a binary key file", binary_key_file, "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file {world.root}/keys is not UTF-8 text"),
    ("empty key file", key_file("# none yet\n"), "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file {world.root}/keys holds no key: write one a line, newest first"),
    ("passphrase in the key file", key_file(f"{SECRET}\nhunter2{SECRET}\n"), f"environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file {{world.root}}/keys: key 2 of 2 is not a Fernet key: it has 51 characters, not 44 (a passphrase is not accepted); {HOW}"),
    ("a key where a path belongs", env(SPARK_CACHE_ENCRYPTION_KEY_FILE=SECRET), "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: this is a key, not the path of a file: set SPARK_CACHE_ENCRYPTION_KEY to it instead"),
    ("a key where a level belongs", env(SPARK_CACHE_ENCRYPTION=SECRET), "environment: SPARK_CACHE_ENCRYPTION: '(a key)' is not one of off, sensitive, all"),
    ("a key where a profile belongs", env(SPARK_PROFILE=SECRET), "environment: SPARK_PROFILE: there is no profile '(a key)'; there are production, staging"),
    ("key file in a profile without the file", cache('encryption_key_file = "keys"'), TOML + ":2: cache.encryption_key_file: the key file {world.project}/keys cannot be read: No such file or directory"),
]  # fmt: skip

GUARDS: list[Case] = [
    ("mode", both(profile('[cache]\n\n[guard]\nforbid_modes = ["replay"]\n'), env(SPARK_CACHE_MODE="replay")), "environment: SPARK_CACHE_MODE: mode is 'replay', and guard.forbid_modes at " + TOML + ":4 forbids it"),
    ("mode of a rule", profile('[cache]\n[[rules]]\nmodel = "a"\nmode = "replay"\n[guard]\nforbid_modes = "replay"\n'), TOML + ":2: rules[0]: mode of a rule for */a is 'replay', and guard.forbid_modes at " + TOML + ":6 forbids it"),
    ("lifetime", both(profile('[cache]\n[guard]\nmax_ttl = "1h"\n'), dotenv("SPARK_CACHE_TTL=2h\n")), "{world.project}/.env:1: SPARK_CACHE_TTL: ttl_seconds is 2h, more than 1h, and guard.max_ttl at " + TOML + ":3 forbids it"),
    ("endless lifetime", profile('[cache]\nttl = "never"\n[guard]\nmax_ttl = "1h"\n'), TOML + ":2: cache.ttl: ttl_seconds is never, more than 1h, and guard.max_ttl at " + TOML + ":4 forbids it"),
    ("lifetime of a second rule", profile('[cache]\nttl = 1\n[[rules]]\nprovider = "p"\nttl = "1m"\n\n[[rules]]\nmodel = "m"\nttl = "1d"\n[guard]\nmax_ttl = "1h"\n'), TOML + ":7: rules[1]: ttl_seconds of a rule for */m is 24h, more than 1h, and guard.max_ttl at " + TOML + ":11 forbids it"),
    ("lifetime of a rule", profile('[cache]\nttl = 1\n[[rules]]\nprovider = "p"\nttl = "1d"\n[guard]\nmax_ttl = "1h"\n'), TOML + ":3: rules[0]: ttl_seconds of a rule for p/* is 24h, more than 1h, and guard.max_ttl at " + TOML + ":7 forbids it"),
    ("encryption", profile('[cache]\n[guard]\nrequire_encryption = "all"\n'), "default: encryption: encryption is 'sensitive', less than 'all', and guard.require_encryption at " + TOML + ":3 forbids it"),
    ("namespace", profile("[cache]\n[guard]\nrequire_namespace = true\n"), "default: namespace: namespace is not set, and guard.require_namespace at " + TOML + ":3 forbids it"),
    ("cache directory", open_cache_dir, "environment: SPARK_CACHE_DIR: cache_dir {world.root}/open is open to everybody (mode 0755), and guard.forbid_world_readable_cache_dir at " + TOML + ":4 forbids it"),
]  # fmt: skip

CASES = ENVIRONMENT + PROFILES + KEYS + GUARDS

CONSTRUCTOR: list[tuple[dict[str, Any], str]] = [
    ({"ttl_seconds": "soon"}, f"constructor: ttl_seconds: 'soon' is not a duration: {LIFETIMES}"),
    ({"ttl": "1h"}, "constructor: ttl: there is no such field; did you mean ttl_seconds?"),
    ({"encryption": "all"}, "constructor: encryption: 'all' needs a key: set SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE"),
    ({"encryption_keys": 5}, "constructor: encryption_keys: not a list of Fernet keys: write key texts with commas between them, newest first"),
    ({"encryption_keys": SECRET, "encryption_key_file": "/x"}, "constructor: encryption_key_file: both keys and a key file are given: keep one"),
    ({"rules": [{"model": "a", "encryption": "all"}]}, 'constructor: rules[0]: a rule with encryption = "all" needs a key: set SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE'),
    ({"rules": "all"}, "constructor: rules: 'all' is not a list of rules: write a table for each"),
    ({"rules": [{"model": "a", "tll": 1}]}, "constructor: rules[0].tll: a rule has no such key; did you mean ttl?"),
    ({"rules": [7]}, 'constructor: rules[0]: 7 is not a table: write model = "gpt-4o*" and what holds for it'),
]  # fmt: skip
