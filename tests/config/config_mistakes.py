# ruff: noqa: E501 - each row is one line, so that its message can be read and searched for as a whole
"""Common mistakes and the exact error message for each, one row per mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet

if TYPE_CHECKING:
    from collections.abc import Callable

    from config_world import World

SECRET = Fernet.generate_key().decode()
DURATIONS = "use a number of seconds, or a value such as 90s, 30m, 24h, 7d or 1h30m"
TTLS = "use a number of seconds, a value such as 90s, 30m, 24h, 7d or 1h30m, or never"
SIZES = "use a number of MB (2^20 bytes), a value such as 500MB or 2GB, or unlimited"
FLAGS = "use true or false, 1 or 0, yes or no, on or off"
HOW = "generate one with Fernet.generate_key() from the cryptography package"
MODES = "read-write, read-only, refresh, replay, bypass"
RULE_KEYS = (
    "cache_version, enabled, encryption, endpoint, ignore, mode, model, namespace, provider, sensitive, "
    "store_empty, store_requests, store_truncated, ttl, ttl_seconds"
)

CACHE_KEYS = (
    "allow_plaintext, cache_dir, cache_version, cleanup_interval_seconds, commit_entries, enabled, encryption, "
    "encryption_key_file, endpoint, fsync, hot_entries, ignore, lock_timeout_seconds, log_format, log_level, "
    "max_cache_size_mb, max_size, mode, namespace, recordings_expire, redact, redact_emails, store, store_empty, "
    "store_requests, store_truncated, ttl, ttl_seconds"
)

Case = tuple[str, "Callable[[World], object]", str]


def env(**variables: str) -> Callable[[World], object]:
    return lambda world: world.environ.update(variables)


def dotenv(text: str) -> Callable[[World], object]:
    return lambda world: world.dotenv(text)


def cache(line: str) -> Callable[[World], object]:
    """Select a project profile with a single line under ``[cache]``, on line 2 of the file."""
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


def combined(*preparations: Callable[[World], object]) -> Callable[[World], object]:
    return lambda world: [prepare(world) for prepare in preparations]


def cycle(world: World) -> None:
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
    world.environ["SPARK_ENABLE_CACHE"] = "true"
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
    ("not a boolean", env(SPARK_ENABLE_CACHE="maybe"), f"environment: SPARK_ENABLE_CACHE: 'maybe' is not a boolean: {FLAGS}"),
    ("not a duration", env(SPARK_CACHE_TTL="soon"), f"environment: SPARK_CACHE_TTL: 'soon' is not a duration: {TTLS}"),
    ("unknown unit", env(SPARK_CACHE_TTL="3 fortnights"), f"environment: SPARK_CACHE_TTL: '3 fortnights' is not a duration: {TTLS}"),
    ("units in the wrong order", env(SPARK_CACHE_TTL="30m1h"), f"environment: SPARK_CACHE_TTL: '30m1h' is not a duration: {TTLS}"),
    ("not a number", env(SPARK_CACHE_TTL="nan"), f"environment: SPARK_CACHE_TTL: 'nan' is not a duration: {TTLS}"),
    ("negative duration", env(SPARK_CACHE_TTL="-5"), f"environment: SPARK_CACHE_TTL: '-5' is negative: {TTLS}"),
    ("duration above the maximum", env(SPARK_CACHE_TTL="999999d"), f"environment: SPARK_CACHE_TTL: '999999d' is longer than the maximum of 100 years: {TTLS}"),
    ("overflowing duration", env(SPARK_CACHE_TTL="1e9999"), f"environment: SPARK_CACHE_TTL: '1e9999' is longer than the maximum of 100 years: {TTLS}"),
    ("never for a duration", env(SPARK_CACHE_LOCK_TIMEOUT="never"), f"environment: SPARK_CACHE_LOCK_TIMEOUT: 'never' is not a duration: {DURATIONS}"),
    ("not a size", env(SPARK_CACHE_MAX_SIZE="big"), f"environment: SPARK_CACHE_MAX_SIZE: 'big' is not a size: {SIZES}"),
    ("size of zero", env(SPARK_CACHE_MAX_SIZE="0"), f"environment: SPARK_CACHE_MAX_SIZE: '0' is not greater than 0: {SIZES}. To turn the cache off, set enabled = false"),
    ("negative size", env(SPARK_CACHE_MAX_SIZE_MB="-1"), f"environment: SPARK_CACHE_MAX_SIZE_MB: '-1' is not greater than 0: {SIZES}. To turn the cache off, set enabled = false"),
    ("size above the maximum", env(SPARK_CACHE_MAX_SIZE="9000TB"), f"environment: SPARK_CACHE_MAX_SIZE: '9000TB' is larger than the maximum of 1024TB: {SIZES}"),
    ("both spellings of a variable", env(SPARK_CACHE_MAX_SIZE="1", SPARK_CACHE_MAX_SIZE_MB="1"), "environment: SPARK_CACHE_MAX_SIZE_MB: the same field is also set as SPARK_CACHE_MAX_SIZE: keep only one of them"),
    ("unknown mode", env(SPARK_CACHE_MODE="write-only"), f"environment: SPARK_CACHE_MODE: 'write-only' is not one of {MODES}"),
    ("unknown encryption level", env(SPARK_CACHE_ENCRYPTION="true"), "environment: SPARK_CACHE_ENCRYPTION: 'true' is not one of off, sensitive, all"),
    ("unknown store", env(SPARK_CACHE_STORE="disk"), "environment: SPARK_CACHE_STORE: 'disk' is not one of file, memory"),
    ("unknown log level", env(SPARK_CACHE_LOG_LEVEL="loud"), "environment: SPARK_CACHE_LOG_LEVEL: 'loud' is not one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
    ("unknown log format", env(SPARK_CACHE_LOG_FORMAT="xml"), "environment: SPARK_CACHE_LOG_FORMAT: 'xml' is not one of console, json"),
    ("text on two lines", env(SPARK_CACHE_NAMESPACE="a\nb"), "environment: SPARK_CACHE_NAMESPACE: 'a\\nb' is not valid text: use 1 to 200 printable characters on one line"),
    ("unset variable in a path", env(SPARK_CACHE_DIR="$NOWHERE/x"), "environment: SPARK_CACHE_DIR: '$NOWHERE/x' refers to the variable NOWHERE, which is not set"),
    ("unknown profile", env(SPARK_PROFILE="prodcution"), "environment: SPARK_PROFILE: unknown profile 'prodcution'; did you mean production?"),
    ("path as a profile name", env(SPARK_PROFILE="../production"), "environment: SPARK_PROFILE: unknown profile '../production'; did you mean production?"),
    ("missing folder of profiles", env(SPARK_PROFILES_DIR="nowhere"), "environment: SPARK_PROFILES_DIR: no such directory: {world.project}/nowhere"),
    ("unset variable in the folder of profiles", env(SPARK_PROFILES_DIR="$NOWHERE"), "environment: SPARK_PROFILES_DIR: '$NOWHERE' refers to the variable NOWHERE, which is not set"),
    (".env that is not UTF-8", latin_dotenv, "{world.project}/.env: cannot be read: the file is not UTF-8 text"),
    ("malformed line", dotenv("# x\n\nSPARK_CACHE_TTL 90s\n"), "{world.project}/.env:3: malformed line: use NAME=value, and quote values that contain spaces"),
    ("unclosed quote", dotenv('export SPARK_CACHE_NAMESPACE="x\n'), "{world.project}/.env:1: malformed line: use NAME=value, and quote values that contain spaces"),
    ("bad value in .env", dotenv("A=1\nSPARK_CACHE_TTL=soon\n"), f"{{world.project}}/.env:2: SPARK_CACHE_TTL: 'soon' is not a duration: {TTLS}"),
    ("unknown profile in .env", dotenv("SPARK_PROFILE=stagin\n"), "{world.project}/.env:1: SPARK_PROFILE: unknown profile 'stagin'; did you mean staging?"),
]  # fmt: skip

TOML = "{world.project}/profiles/mine.toml"
PROFILES: list[Case] = [
    ("syntax error", profile('[cache]\nttl = "1h"\nmode = refresh\n'), TOML + ":3: is not valid TOML: Invalid value"),
    ("unclosed string", profile('[cache]\nttl = "1h\n'), TOML + ":2: is not valid TOML: Illegal character '\\n'"),
    ("duplicate key", profile("[cache]\nttl = 1\nttl = 2\n"), TOML + ":3: is not valid TOML: Cannot overwrite a value"),
    ("not UTF-8", latin_profile, TOML + ": is not UTF-8 text, which TOML requires"),
    ("nested too deeply", profile("[cache]\nttl = " + "[" * 20000 + "]" * 20000 + "\n"), TOML + ": is nested too deeply to be parsed"),
    ("directory as a profile", directory_as_profile, TOML + ": is not a regular file"),
    ("unknown key", cache('tll = "1h"'), TOML + ":2: cache.tll: unknown key in [cache]; did you mean ttl?"),
    ("unknown table", profile('[cache]\n\n[gaurd]\nmax_ttl = "1h"\n'), TOML + ":3: gaurd: unknown top-level key; did you mean guard?"),
    ("key outside its table", profile('ttl = "1h"\n[cache]\n'), TOML + ":1: ttl: move this key to [cache]"),
    ("profile field inside a profile", cache('profile = "testing"'), TOML + ":2: cache.profile: unknown key in [cache]; available: " + CACHE_KEYS),
    ("both spellings of a field", profile('[cache]\nttl_seconds = 60\nttl = "1m"\n'), TOML + ":3: cache.ttl: the same field is also set as cache.ttl_seconds: keep only one of them"),
    ("both spellings of the size", profile("[cache]\nmax_size = 60\nmax_cache_size_mb = 1\n"), TOML + ":3: cache.max_cache_size_mb: the same field is also set as cache.max_size: keep only one of them"),
    ("encryption keys in TOML", cache(f'encryption_keys = ["{SECRET}"]'), TOML + ":2: cache.encryption_keys: a profile must not contain encryption keys: set SPARK_CACHE_ENCRYPTION_KEY in the environment, or set encryption_key_file to the path of a key file"),
    ("encryption key in TOML", cache(f'encryption_key = "{SECRET}"'), TOML + ":2: cache.encryption_key: a profile must not contain encryption keys: set SPARK_CACHE_ENCRYPTION_KEY in the environment, or set encryption_key_file to the path of a key file"),
    ("boolean as a duration", cache("ttl = true"), TOML + f":2: cache.ttl: true is not a duration: {TTLS}"),
    ("infinite duration", cache("ttl = inf"), TOML + f":2: cache.ttl: inf is longer than the maximum of 100 years: {TTLS}"),
    ("list as a duration", cache("ttl = [1, 2]"), TOML + f":2: cache.ttl: [1, 2] is not a duration: {TTLS}"),
    ("table as a mode", cache("mode = { a = 1 }"), TOML + f":2: cache.mode: a table is not one of {MODES}"),
    ("number as a boolean", cache("enabled = 2"), TOML + f":2: cache.enabled: 2 is not a boolean: {FLAGS}"),
    ("number as a path", cache("cache_dir = 5"), TOML + ":2: cache.cache_dir: 5 is not a path: use a path such as ./dev_cache or ~/.cache/app"),
    ("list as text", cache('namespace = ["a"]'), TOML + ":2: cache.namespace: ['a'] is not valid text: use 1 to 200 printable characters on one line"),
    ("cache is not a table", profile("cache = 1\n"), TOML + ":1: cache: must be a table: write [cache]"),
    ("rules are not a list", profile("[cache]\n[rules]\nmodel = 1\n"), TOML + ":2: rules: must be a list of tables: write [[rules]]"),
    ("extends is not a string", profile("extends = 5\n[cache]\n"), TOML + ":1: extends: must be a string"),
    ("rule is not a table", profile("rules = [1]\n[cache]\n"), TOML + ':1: rules[0]: 1 is not a table: use a table with a pattern and settings, such as model = "gpt-4o*" and ttl = "1h"'),
    ("description is not a string", profile("description = 1\n[cache]\n"), TOML + ":1: description: must be a string"),
    ("unknown key in a rule", profile('[cache]\n[[rules]]\nmodel = "a"\nfsync = true\n'), TOML + f":4: rules[0].fsync: unknown key in a rule; available: {RULE_KEYS}"),
    ("bad value in a rule", profile('[cache]\n[[rules]]\nmodel = "a"\nttl = "1h"\n[[rules]]\nmodel = "b"\nttl = "x"\n'), TOML + f":7: rules[1].ttl: 'x' is not a duration: {TTLS}"),
    ("rule without a pattern", profile('[cache]\n[[rules]]\nttl = "1h"\n'), TOML + ":2: rules[0]: a rule without provider or model matches every call: move its settings to [cache]"),
    ("rule that sets nothing", profile('[cache]\n[[rules]]\nmodel = "a"\n'), TOML + ':2: rules[0]: this rule sets nothing: add a setting such as ttl = "1h" or sensitive = true'),
    ("both spellings in a rule", profile('[cache]\n[[rules]]\nmodel = "a"\nttl = 1\nttl_seconds = 1\n'), TOML + ":5: rules[0].ttl_seconds: the same field is also set as ttl: keep only one of them"),
    ("pattern is not a string", profile("[cache]\n[[rules]]\nmodel = 4\nttl = 1\n"), TOML + ":3: rules[0].model: 4 is not a pattern: use a name or a glob such as gpt-4o*"),
    ("extends an unknown profile", profile('extends = "stagging"\n[cache]\n'), TOML + ":1: extends: unknown profile 'stagging'; did you mean staging?"),
    ("extends itself without a lower layer", profile('extends = "mine"\n[cache]\n'), TOML + ":1: extends: this profile extends itself, but no lower layer defines 'mine'"),
    ("extends in a cycle", cycle, "{world.project}/profiles/two.toml:2: extends: profiles extend each other in a cycle: one → two → one"),
    ("unknown guard", profile('[cache]\n[guard]\nmax_tll = "1h"\n'), TOML + ":3: guard.max_tll: unknown condition in [guard]; did you mean max_ttl?"),
    ("bad value in a guard", profile('[cache]\n[guard]\nforbid_modes = ["writing"]\n'), TOML + f":3: guard.forbid_modes: 'writing' is not one of {MODES}"),
]  # fmt: skip

KEYS: list[Case] = [
    ("passphrase as a key", env(SPARK_CACHE_ENCRYPTION_KEY="correct horse " + SECRET), f"environment: SPARK_CACHE_ENCRYPTION_KEY: key 1 of 1 is not a Fernet key: expected 44 characters, got 58 (passphrases are not accepted); {HOW}"),
    ("truncated key", env(SPARK_CACHE_ENCRYPTION_KEY=SECRET[:-3]), f"environment: SPARK_CACHE_ENCRYPTION_KEY: key 1 of 1 is not a Fernet key: expected 44 characters, got 41 (passphrases are not accepted); {HOW}"),
    ("not base64", env(SPARK_CACHE_ENCRYPTION_KEY="!" + SECRET[1:]), f"environment: SPARK_CACHE_ENCRYPTION_KEY: key 1 of 1 is not a Fernet key: it is not URL-safe base64; {HOW}"),
    ("bad key with encryption of all entries", env(SPARK_CACHE_ENCRYPTION="all", SPARK_CACHE_ENCRYPTION_KEY="x"), f"environment: SPARK_CACHE_ENCRYPTION_KEY: key 1 of 1 is not a Fernet key: expected 44 characters, got 1 (passphrases are not accepted); {HOW}"),
    ("duplicate encryption key", env(SPARK_CACHE_ENCRYPTION_KEY=f"{SECRET},{SECRET}"), "environment: SPARK_CACHE_ENCRYPTION_KEY: key 2 of 2 is the same as key 1"),
    ("encryption of all entries without a key", env(SPARK_CACHE_ENCRYPTION="all"), "environment: SPARK_CACHE_ENCRYPTION: 'all' requires an encryption key: set SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE"),
    ("rule that encrypts all entries without a key", profile('[cache]\n\n[[rules]]\nmodel = "a"\nencryption = "all"\n'), TOML + ':3: rules[0]: a rule with encryption = "all" requires an encryption key: set SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE'),
    ("second rule that encrypts all entries without a key", profile('[cache]\n[[rules]]\nmodel = "a"\nttl = 1\n[[rules]]\nmodel = "b"\nencryption = "all"\n'), TOML + ':5: rules[1]: a rule with encryption = "all" requires an encryption key: set SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE'),
    ("both a key and a key file", combined(key_file(SECRET), env(SPARK_CACHE_ENCRYPTION_KEY=SECRET)), "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: both encryption keys and a key file are set: keep only one of them"),
    ("key file readable by everyone", key_file(SECRET, 0o644), "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file {world.root}/keys is accessible to other users (mode 0644): run chmod 600 on it"),
    ("key file readable by the group", key_file(SECRET, 0o640), "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file {world.root}/keys is accessible to other users (mode 0640): run chmod 600 on it"),
    ("missing key file", env(SPARK_CACHE_ENCRYPTION_KEY_FILE="/nowhere/keys"), "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file /nowhere/keys cannot be read: No such file or directory"),
    ("link to a key file", linked_key_file, "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file {world.root}/link is a symbolic link: use the path of the file itself"),
    ("directory as a key file", env(SPARK_CACHE_ENCRYPTION_KEY_FILE="/"), "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file / is not a regular file"),
    ("key file inside the cache", combined(key_file(SECRET, place="home/.cache/spark/llm-responses/keys")), "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file {world.root}/home/.cache/spark/llm-responses/keys is inside the cache directory {world.root}/home/.cache/spark/llm-responses: move it elsewhere"),
    ("huge key file", key_file(f"{SECRET}\n" * 2000), "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file {world.root}/keys is larger than 64 KiB"),
    ("binary key file", binary_key_file, "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file {world.root}/keys is not UTF-8 text"),
    ("empty key file", key_file("# none yet\n"), "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file {world.root}/keys contains no keys: write one per line, newest first"),
    ("passphrase in the key file", key_file(f"{SECRET}\nhunter2{SECRET}\n"), f"environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: the key file {{world.root}}/keys: key 2 of 2 is not a Fernet key: expected 44 characters, got 51 (passphrases are not accepted); {HOW}"),
    ("key instead of a path", env(SPARK_CACHE_ENCRYPTION_KEY_FILE=SECRET), "environment: SPARK_CACHE_ENCRYPTION_KEY_FILE: this is an encryption key, not a file path: set SPARK_CACHE_ENCRYPTION_KEY to it instead"),
    ("key instead of a level", env(SPARK_CACHE_ENCRYPTION=SECRET), "environment: SPARK_CACHE_ENCRYPTION: '(a key)' is not one of off, sensitive, all"),
    ("key instead of a profile", env(SPARK_PROFILE=SECRET), "environment: SPARK_PROFILE: unknown profile '(a key)'; available: production, staging"),
    ("missing key file in a profile", cache('encryption_key_file = "keys"'), TOML + ":2: cache.encryption_key_file: the key file {world.project}/keys cannot be read: No such file or directory"),
]  # fmt: skip

GUARDS: list[Case] = [
    ("mode", combined(profile('[cache]\n\n[guard]\nforbid_modes = ["replay"]\n'), env(SPARK_CACHE_MODE="replay")), "environment: SPARK_CACHE_MODE: mode is 'replay', which violates guard.forbid_modes at " + TOML + ":4"),
    ("mode of a rule", profile('[cache]\n[[rules]]\nmodel = "a"\nmode = "replay"\n[guard]\nforbid_modes = "replay"\n'), TOML + ":2: rules[0]: mode in the rule for */a is 'replay', which violates guard.forbid_modes at " + TOML + ":6"),
    ("TTL", combined(profile('[cache]\n[guard]\nmax_ttl = "1h"\n'), dotenv("SPARK_CACHE_TTL=2h\n")), "{world.project}/.env:1: SPARK_CACHE_TTL: ttl_seconds is 2h, longer than 1h, which violates guard.max_ttl at " + TOML + ":3"),
    ("TTL without end", profile('[cache]\nttl = "never"\n[guard]\nmax_ttl = "1h"\n'), TOML + ":2: cache.ttl: ttl_seconds is never, longer than 1h, which violates guard.max_ttl at " + TOML + ":4"),
    ("TTL of a second rule", profile('[cache]\nttl = 1\n[[rules]]\nprovider = "p"\nttl = "1m"\n\n[[rules]]\nmodel = "m"\nttl = "1d"\n[guard]\nmax_ttl = "1h"\n'), TOML + ":7: rules[1]: ttl_seconds in the rule for */m is 24h, longer than 1h, which violates guard.max_ttl at " + TOML + ":11"),
    ("TTL of a rule", profile('[cache]\nttl = 1\n[[rules]]\nprovider = "p"\nttl = "1d"\n[guard]\nmax_ttl = "1h"\n'), TOML + ":3: rules[0]: ttl_seconds in the rule for p/* is 24h, longer than 1h, which violates guard.max_ttl at " + TOML + ":7"),
    ("encryption", profile('[cache]\n[guard]\nrequire_encryption = "all"\n'), "default: encryption: encryption is 'sensitive', weaker than 'all', which violates guard.require_encryption at " + TOML + ":3"),
    ("namespace", profile("[cache]\n[guard]\nrequire_namespace = true\n"), "default: namespace: namespace is not set, which violates guard.require_namespace at " + TOML + ":3"),
    ("cache directory", open_cache_dir, "environment: SPARK_CACHE_DIR: cache_dir {world.root}/open is accessible to other users (mode 0755), which violates guard.forbid_world_readable_cache_dir at " + TOML + ":4"),
]  # fmt: skip

CASES = ENVIRONMENT + PROFILES + KEYS + GUARDS

CONSTRUCTOR: list[tuple[dict[str, Any], str]] = [
    ({"ttl_seconds": "soon"}, f"constructor: ttl_seconds: 'soon' is not a duration: {TTLS}"),
    ({"ttl": "1h"}, "constructor: ttl: unknown field; did you mean ttl_seconds?"),
    ({"encryption": "all"}, "constructor: encryption: 'all' requires an encryption key: set SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE"),
    ({"encryption_keys": 5}, "constructor: encryption_keys: not a list of Fernet keys: use comma-separated keys or a list, newest first"),
    ({"encryption_keys": SECRET, "encryption_key_file": "/x"}, "constructor: encryption_key_file: both encryption keys and a key file are set: keep only one of them"),
    ({"rules": [{"model": "a", "encryption": "all"}]}, 'constructor: rules[0]: a rule with encryption = "all" requires an encryption key: set SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE'),
    ({"rules": "all"}, "constructor: rules: 'all' is not a list of rules: use one table per rule"),
    ({"rules": [{"model": "a", "tll": 1}]}, "constructor: rules[0].tll: unknown key in a rule; did you mean ttl?"),
    ({"rules": [7]}, 'constructor: rules[0]: 7 is not a table: use a table with a pattern and settings, such as model = "gpt-4o*" and ttl = "1h"'),
]  # fmt: skip
