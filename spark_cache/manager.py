"""The manager joins the rooms: key the request, fetch the bytes, open them, decode them, answer."""

from __future__ import annotations

import logging
import time
import weakref
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from math import inf
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any

from spark_cache.directory import open_directory
from spark_cache.entries import CacheEntry
from spark_cache.entry_store import EntryStore
from spark_cache.errors import ConfigError, UncacheableRequestError, UncacheableResponseError
from spark_cache.events import CacheBypass, StructlogSink
from spark_cache.keys import DigestMemo, Frame, digest_of, frame_of, key_of
from spark_cache.plan import Hit, Miss, Plan, mode_of, needs_sealing, refusal_of
from spark_cache.statistics import statistics
from spark_cache.stores import folder_name
from spark_cache.types import CacheKey, MissReason, Mode, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from datetime import date, timedelta
    from pathlib import Path

    from spark_cache.config import CacheConfig, Difference, Policy
    from spark_cache.entries.keyring import KeyRing
    from spark_cache.events import Sink, Totals
    from spark_cache.explain import Explanation
    from spark_cache.flights import Flights
    from spark_cache.stores import Address
    from spark_cache.types import EntryMeta

    _Frames = dict[tuple[str, str, str, str | None], tuple[Frame, bool]]

__all__ = ["CacheManager"]

_FRAMES_REMEMBERED = 1024


class CacheManager:
    """Answers from a cache directory, stores answers in it, and manages what is there.

    ``enabled`` gates :meth:`get` and :meth:`set` alone; managing always works on the directory. Managers of one real directory share
    its store and its figures. Safe for threads, tasks and processes.

    Args:
        config: The configuration; None is what :func:`spark_cache.load_config` finds.
        clock: The time in seconds since the epoch.
        sink: Where events go; None is the standard logger ``spark_cache``.

    Raises:
        ConfigError: The configuration cannot be used.
    """

    def __init__(
        self,
        config: CacheConfig | None = None,
        *,
        clock: Callable[[], float] = time.time,
        sink: Sink | None = None,
    ) -> None:
        self._config = _loaded(config)
        self._clock = clock
        self._sink: Sink = sink if sink is not None else StructlogSink()
        self._memo = DigestMemo()
        self._frames: _Frames = {}
        self._ring = _ring_of(self._config)
        self._opened: EntryStore | None = None
        if self._config.log_level is not None:
            logging.getLogger("spark_cache").setLevel(self._config.log_level)

    # -- one for each configuration ---------------------------------------------------------------

    @classmethod
    def get_instance(cls, config: CacheConfig | None = None) -> CacheManager:
        """The manager of this process, made when first asked for.

        Args:
            config: Its configuration; None takes the manager as it is, or what :func:`spark_cache.load_config` finds.

        Raises:
            ConfigError: There is a manager already, with another configuration.
        """
        global _instance  # noqa: PLW0603 - the one documented singleton
        with _instances_lock:
            if _instance is None:
                _instance = _shared(_loaded(config))
            elif config is not None and config != _instance.config:
                raise ConfigError(
                    "CacheManager.get_instance() was called before with another configuration. "
                    "Call CacheManager.reset_instance() first, or make an independent CacheManager(config)."
                )
            return _instance

    @classmethod
    def reset_instance(cls) -> None:
        """Forget the manager of this process; the next :meth:`get_instance` makes another. The cache is left as it is."""
        global _instance  # noqa: PLW0603 - the one documented singleton
        with _instances_lock:
            _instance = None

    @classmethod
    def shared(cls, config: CacheConfig) -> CacheManager:
        """The manager that everybody with an equal configuration shares."""
        with _instances_lock:
            return _shared(config)

    @classmethod
    def reload_shared(cls) -> None:
        """Reload every manager that models share; one whose layers now say what cannot be used stays as it is."""
        with _instances_lock:
            managers = list(_instances.values())
        for manager in managers:
            with suppress(ConfigError):
                manager.reload()

    def reload(self, config: CacheConfig | None = None) -> tuple[Difference, ...]:
        """Take on another configuration in one step; calls under way finish with the one they began with.

        Args:
            config: The new one; None resolves all layers anew, with the same profile and overrides.

        Returns:
            The fields that changed, each with both values and where they came from.

        Raises:
            ConfigError: The new configuration cannot be used; the old one stays.
        """
        from spark_cache.config import reload_config  # noqa: PLC0415 - not needed on the way of a call
        from spark_cache.config.difference import compare  # noqa: PLC0415 - the same

        new = config if config is not None else reload_config(self._config)
        ring = _ring_of(new)
        old, self._config, self._ring, self._opened = self._config, new, ring, None
        # After the configuration: a call under way puts what it made with the old one into the old dictionary.
        self._frames = {}
        return compare(old, new)

    @property
    def config(self) -> CacheConfig:
        """The configuration in force."""
        return self._config

    @property
    def cache_dir(self) -> Path:
        """The cache directory, absolute; it need not exist yet."""
        if self._config.cache_dir is not None:
            return self._config.cache_dir
        from spark_cache.config.surroundings import Surroundings  # noqa: PLC0415 - a loaded configuration has its directory

        return Surroundings.of().default_cache_dir

    # -- a call: plan, look up, store -------------------------------------------------------------

    def plan(self, request: Request, *, mode: Mode | None = None, sensitive: bool | None = None) -> Plan:
        """Decide what a call may do with the cache, and key its request if it may do anything.

        Args:
            request: What is asked.
            mode: The mode that the call asks for; None is the configured one. Replay, once configured, cannot be left.
            sensitive: Whether the request is sensitive; rules can only raise it.
        """
        policy = self._config.policy(request.provider, request.model_id)
        chosen = mode_of(policy, mode)
        sealed = needs_sealing(policy, sensitive=bool(sensitive))
        refusal = refusal_of(request, policy, mode, sealed=sealed, can_seal=self._can_seal(policy))
        if refusal is not None:
            self._warn_of(refusal)
            return Plan(policy, chosen, sealed, refusal=refusal)
        try:
            key = self._key(request, sealed=sealed)
        except UncacheableRequestError as error:
            # The names inside a sensitive request may say as much as its values: its part is enough.
            part = error.path.partition(".")[0].partition("[")[0] if sealed else error.path
            refusal = Miss(MissReason.UNCACHEABLE, f"{part}: {error.reason}")
            self._warn_of(refusal)
            return Plan(policy, chosen, sealed, refusal=refusal)
        return Plan(policy, chosen, sealed, key, place=self._entries)

    def lookup(
        self, plan: Plan, operation: str = "text", *, read: Callable[[dict[str, Any]], Any] | None = None
    ) -> Hit | Miss:
        """Answer a planned call from the cache, or say why not. Never raises for what the machine does.

        Args:
            plan: The call.
            operation: What is asked for, for the log.
            read: Makes the caller's answer out of the stored response; None where the response is of another shape.
        """
        if plan.key is None or not plan.mode.reads:
            return plan.refusal or Miss(MissReason.BYPASSED)
        found = self._place(plan).fetch(
            plan.key, plan.policy, plan.mode, sealed=plan.sealed, operation=operation, read=read
        )
        if isinstance(found, Miss) and plan.mode.writes:
            self._note_miss(plan, found)
        return found

    def look_again(self, plan: Plan, *, read: Callable[[dict[str, Any]], Any]) -> Hit | Miss:
        """Look up a planned call once more: whether an equal one has brought its answer meanwhile, which is then shared."""
        if plan.key is None or not plan.mode.reads:
            return Miss(MissReason.BYPASSED)
        found = self._place(plan).find(plan.key, plan.policy, plan.mode, sealed=plan.sealed, read=read)[0]
        if isinstance(found, Hit):
            self.note_shared(plan, found.response)
        return found

    def note_shared(self, plan: Plan, response: Mapping[str, Any]) -> None:
        """Count that a planned call, which missed, was spared by an equal one that was under way.

        Args:
            plan: The call.
            response: The answer that it got, as it is stored.
        """
        if plan.key is not None:
            self._place(plan).observer.count_shared(plan.key, plan.mode, response)

    def store(
        self, plan: Plan, request: Mapping[str, Any], response: dict[str, Any], operation: str = "text"
    ) -> bool:
        """Store the answer of a planned call, if it may; whether it is now in the cache. Never raises for what the machine does."""
        if plan.key is None or not plan.mode.writes:
            return False
        entry = self._entry(
            plan.key,
            plan.key.provider,
            plan.key.model_id,
            request,
            response,
            plan.policy.ttl_seconds,
            plan.policy,
        )
        entries = self._place(plan)
        try:
            return entries.put(entry, sealed=plan.sealed, operation=operation, of_a_model=True)
        except UncacheableResponseError as error:
            entries.directory.tell("store the answer", str(error), profile=self._config.profile)
            return False

    def note_bypass(self, plan: Plan, request: Request, reason: str) -> None:
        """Log that a call went past the cache, or that its answer was not stored."""
        self._entries.observer.emit(
            CacheBypass,
            provider=request.provider,
            model=request.model_id,
            key=None if plan.name is None else plan.name[:12],
            operation=request.operation,
            reason=reason,
        )

    def warn(self, operation: str, error: str) -> None:
        """Warn, once for each cause, that something around the cache failed; calls go on without it."""
        self._entries.directory.tell(operation, error, profile=self._config.profile)

    def flights(self, plan: Plan) -> Flights:
        """The calls under way to the provider, shared by everybody who shares the directory."""
        return self._place(plan).directory.flights

    @asynccontextmanager
    async def lease(self, plan: Plan) -> AsyncIterator[None]:
        """Make other processes wait that would make the same planned call; the body runs, whether they can be made to or not.

        Only where the answer is looked up first and stored afterwards: nobody else could wait for another call's.
        """
        directory = self._place(plan).directory
        if directory.leases is None or plan.name is None or plan.mode is not Mode.READ_WRITE:
            yield
            return
        async with directory.leases.held(plan.name, patience=self._config.lock_timeout_seconds):
            yield

    # -- keys -------------------------------------------------------------------------------------

    def key(self, request: Request, *, sensitive: bool = False) -> CacheKey:
        """Key a request, with the namespace, the version and the endpoint of this configuration.

        Args:
            request: What would be asked.
            sensitive: Whether the request is sensitive: nothing of it is remembered then, and the key is the same.

        Raises:
            UncacheableRequestError: The request holds something that cannot be keyed exactly.
        """
        return self._key(request, sealed=sensitive)

    def generate_cache_key(
        self,
        provider: str,
        model_id: str,
        messages: Any,
        system_prompt: Any = None,
        tool_specs: Any = None,
        *,
        tool_choice: Any = None,
        output_schema: Any = None,
        operation: str = "text",
        endpoint: str | None = None,
        sample: int | None = None,
        **parameters: Any,
    ) -> CacheKey:
        """Key a request given in its parts; see :class:`spark_cache.types.Request` and :meth:`key`.

        Args:
            provider: The provider it is asked of, such as ``openai``.
            model_id: The model it is asked of.
            messages: The conversation.
            system_prompt: System instructions beside the messages.
            tool_specs: The tools the model may call.
            tool_choice: Which of them it should call.
            output_schema: The schema that a structured answer has to meet.
            operation: ``text``, ``json`` or ``embedding``.
            endpoint: The provider's address where it is not the provider's own; the configured name goes before it.
            sample: Which of several equal requests this is.
            **parameters: Whatever else goes to the provider.

        Returns:
            The key, as 64 hex digits.

        Raises:
            UncacheableRequestError: The request holds something that cannot be keyed exactly.
        """
        frame, sealed = self._frame(provider, model_id, operation, endpoint)
        # What is sensitive is not remembered, not even as the object behind a digest.
        digest = digest_of if sealed else self._memo
        return key_of(
            frame,
            digest,
            messages,
            system_prompt,
            tool_specs,
            tool_choice,
            output_schema,
            sample,
            parameters,
        )

    # -- entries by key ---------------------------------------------------------------------------

    def get(self, cache_key: str, provider: str | None = None) -> dict[str, Any] | None:
        """The response stored under a key, equal to what was given to :meth:`set`; None on a miss or with the cache off.

        Args:
            cache_key: A key of :meth:`generate_cache_key`, or any text that was given to :meth:`set`.
            provider: Where to look for a plain text; a :class:`spark_cache.CacheKey` knows its own.
        """
        if not self._config.enabled and not self._config.rules:
            return None
        if isinstance(cache_key, CacheKey):
            policy = self._config.policy(cache_key.provider, cache_key.model_id)
            if not policy.enabled or not policy.mode.reads:
                return None
            sealed = needs_sealing(policy, sensitive=False)
            found = self._entries.fetch(cache_key, policy, policy.mode, sealed=sealed)
        else:
            found = self._found_by_text(cache_key, provider)
        return found.response if isinstance(found, Hit) else None

    def get_entry(self, cache_key: str) -> CacheEntry | None:
        """The whole entry of a key, whatever its age; None when there is none that can be read. Counts as no use."""
        for at in self._entries.addresses(cache_key):
            entry = self._entries.open(at, cache_key)
            if isinstance(entry, CacheEntry):
                return entry
        return None

    def set(
        self,
        cache_key: str,
        provider: str,
        model_id: str,
        request: Any,
        response: dict[str, Any],
        ttl_seconds: float | None = None,
        sensitive: bool | None = None,
    ) -> bool:
        """Store a response under a key.

        Args:
            cache_key: The key; any text.
            provider: The provider that gave the response.
            model_id: The model that gave it.
            request: What was asked; stored only where requests are stored.
            response: A dictionary of JSON values.
            ttl_seconds: How long it may live, in seconds; None is the configured time, infinity for ever.
            sensitive: Whether it must not be stored as plain text; rules can only raise it.

        Returns:
            Whether it is now in the cache; not with the cache off, in a mode that writes nothing, or after a fault of the machine.

        Raises:
            UncacheableResponseError: The response would not come back equal.
            ValueError: The key belongs to another provider or model, or the lifetime is not a number from 0 up.
        """
        if isinstance(cache_key, CacheKey) and (cache_key.provider, cache_key.model_id) != (
            provider,
            model_id,
        ):
            raise ValueError(
                f"the key was made for {cache_key.provider}/{cache_key.model_id}, not for {provider}/{model_id}"
            )
        policy = self._config.policy(provider, model_id)
        ttl = policy.ttl_seconds if ttl_seconds is None else _lifetime(ttl_seconds)
        if not policy.enabled or not policy.mode.writes or ttl == 0:
            return False
        sealed = needs_sealing(policy, sensitive=bool(sensitive))
        if sealed and not self._can_seal(policy):
            self._warn_of(Miss(MissReason.SENSITIVE))
            return False
        entry = self._entry(cache_key, provider, model_id, request, response, ttl, policy)
        return self._entries.put(entry, sealed=sealed)

    def has_entry(self, key: str) -> bool:
        """Whether an entry of this key would be answered now, as far as its age and content go."""
        return any(isinstance(self._found(at, key)[0], Hit) for at in self._entries.addresses(key))

    def remove_entry(self, key: str) -> bool:
        """Remove the entry of a key; whether there was one.

        Raises:
            StoreError: It is there and could not be removed.
        """
        directory = self._entries.directory
        removed = [at.name for at in self._entries.addresses(key) if directory.store.remove(at)]
        for name in removed:
            directory.history.removed(name, "remove")
        return bool(removed)

    def explain(
        self,
        asked: Request | str,
        model_id: str | None = None,
        messages: Any = None,
        system_prompt: Any = None,
        tool_specs: Any = None,
        *,
        tool_choice: Any = None,
        output_schema: Any = None,
        operation: str = "text",
        endpoint: str | None = None,
        sample: int | None = None,
        mode: Mode | str | None = None,
        sensitive: bool | None = None,
        missed: Miss | None = None,
        **parameters: Any,
    ) -> Explanation:
        """Why a request misses, or that it would be answered; counts as no use, and writes nothing.

        Args:
            asked: A request; or a key, or the name of an entry, alone; or the provider, with what follows as for
                :meth:`generate_cache_key`.
            model_id: The model it is asked of.
            messages: The conversation.
            system_prompt: System instructions beside the messages.
            tool_specs: The tools the model may call.
            tool_choice: Which of them it should call.
            output_schema: The schema that a structured answer has to meet.
            operation: ``text``, ``json`` or ``embedding``.
            endpoint: The provider's address where it is not the provider's own.
            sample: Which of several equal requests this is.
            mode: The mode that the call asks for; None is the configured one.
            sensitive: Whether the request is sensitive; rules can only raise it.
            missed: What a call of this request came to; None looks it up.
            **parameters: Whatever else goes to the provider.

        Returns:
            The reason in words; where no entry has the key, also the nearest one and in what it differs.
        """
        from spark_cache.explain import explain_call, explain_name  # noqa: PLC0415 - for those who ask

        if isinstance(asked, Request):
            request = asked
        elif model_id is None:
            return explain_name(self._entries, self._ring, asked)
        else:
            request = Request(
                asked,
                model_id,
                messages,
                system_prompt,
                tool_specs,
                tool_choice,
                output_schema,
                operation,
                endpoint,
                sample,
                parameters,
            )
        plan = self.plan(request, mode=None if mode is None else Mode(mode), sensitive=sensitive)
        return explain_call(self._place(plan), self._ring, plan, request, missed)

    # -- the directory as a whole -----------------------------------------------------------------

    def entries(self, provider: str | None = None, model_id: str | None = None) -> Iterator[EntryMeta]:
        """What is known of every entry, or of those of a provider or one of its models; unreadable ones are left out."""
        return (meta for _, meta in self._entries.metas(provider, model_id))

    def cleanup_expired(self, provider: str | None = None) -> int:
        """Remove the entries whose lifetime is over, of one provider or of all; how many there were."""
        return self._entries.directory.store.expire(None if provider is None else folder_name(provider))

    def clear_all(self) -> int:
        """Remove every entry; how many there were."""
        return self._entries.directory.store.clear()

    def clear_provider(self, provider: str) -> int:
        """Remove the entries of a provider; how many there were."""
        return self._entries.directory.store.clear(folder_name(provider))

    def clear_model(self, provider: str, model_id: str) -> int:
        """Remove the entries of a model; how many there were."""
        return self._entries.directory.store.clear(folder_name(provider), folder_name(model_id))

    def get_stats(self) -> dict[str, Any]:
        """Figures of the directory and of this process.

        Returns:
            ``total_entries``; ``total_size_bytes`` (in blocks of 4 KiB) and ``apparent_size_bytes`` (the lengths of the files);
            ``hits``, ``misses``, ``stores``, ``hit_rate`` (0.0 to 1.0) and ``misses_by_reason`` of this process, with what else
            the ledger counts; the same of all processes under ``lifetime``; ``by_provider[p]`` and ``by_model[p][m]``, each with
            ``entries`` and ``size_bytes``; ``entries_by_provider[p]``; ``cache_dir``.

        Raises:
            StoreError: The directory could not be listed.
        """
        directory = self._entries.directory
        return {
            "cache_dir": str(self.cache_dir),
            **statistics(directory.store, write=self._config.enabled and self._config.mode.writes),
            **_figures(directory.ledger.process()),
            "lifetime": _figures(directory.ledger.lifetime()),
        }

    def get_savings(
        self, by: str = "model", since: str | float | timedelta | date | None = None
    ) -> dict[str, Any]:
        """What the cache saved, by the ledger of all processes and the price table of ``genai-prices``.

        Args:
            by: What the rows are told apart by: ``model``, ``provider``, ``profile`` or ``day`` (in UTC).
            since: The first day that counts: a day (a date, or text such as ``2026-11-01``), or how far back to go (seconds, or
                text such as ``7d``), which takes in the whole of the day that it leads to. None counts all.

        Returns:
            ``by``; ``since``; ``price_table``, its name and version; ``rows``; and ``total``, which is like a row. A row has what
            it is told apart by (``provider`` and ``model`` for a model); ``hits``; ``shared``, the calls answered by an equal one
            that was under way; ``misses``; ``tokens_saved``, and of these ``input_tokens`` (``cached_tokens`` of them at the
            provider) and ``output_tokens`` (``reasoning_tokens`` of them); ``seconds_saved``; ``dollars_saved``, which is None
            where no price is known; and ``unpriced``, how many hits and shared calls are not in it because their price is unknown.

        Raises:
            ValueError: ``by`` or ``since`` is something else.
        """
        from spark_cache.savings import first_day, savings  # noqa: PLC0415 - a price table, for those who ask for prices

        day = first_day(since, self._clock())
        return savings(self._entries.directory.ledger.lines(), by=by, since=day)

    def flush(self) -> None:
        """Write the figures that are still in memory, so that nothing is written to the directory later on."""
        if self._opened is not None:
            self._opened.directory.ledger.flush()
            self._opened.directory.history.flush()

    # -- how --------------------------------------------------------------------------------------

    @property
    def _entries(self) -> EntryStore:
        """The entries of the directory, opened when first needed: a cache that is off never gets here."""
        opened, config = self._opened, self._config
        if opened is None or opened.config is not config:
            directory = open_directory(str(self.cache_dir), config, clock=self._clock, sink=self._sink)
            opened = EntryStore(directory, config, ring=self._ring, sink=self._sink)
            self._opened = opened
        return opened

    def _place(self, plan: Plan) -> EntryStore:
        """The entries that a call was planned with."""
        return plan.place if isinstance(plan.place, EntryStore) else self._entries

    def _note_miss(self, plan: Plan, miss: Miss) -> None:
        """Remember a miss for those who ask why; of a request that is to be encrypted only the name of its entry."""
        if plan.key is not None and plan.name is not None:
            self._place(plan).directory.history.missed(
                plan.name,
                provider=plan.key.provider,
                model=plan.key.model_id,
                reason=miss.reason.value,
                digests=None if plan.sealed else plan.key.digests,
            )

    def _can_seal(self, policy: Policy) -> bool:
        return self._ring is not None and policy.encryption != "off"

    def _key(self, request: Request, *, sealed: bool) -> CacheKey:
        frame, always = self._frame(request.provider, request.model_id, request.operation, request.endpoint)
        return key_of(
            frame,
            digest_of if sealed or always else self._memo,
            request.messages,
            request.system_prompt,
            request.tool_specs,
            request.tool_choice,
            request.output_schema,
            request.sample,
            request.parameters,
        )

    def _frame(
        self, provider: str, model_id: str, operation: str, endpoint: str | None
    ) -> tuple[Frame, bool]:
        """What all keys of such requests have in common, and whether they are sensitive by the configuration; remembered."""
        frames = self._frames
        # Only what is text and nothing else: what merely equals it may be written otherwise.
        plain = (
            type(provider) is str
            and type(model_id) is str
            and type(operation) is str
            and (endpoint is None or type(endpoint) is str)
        )
        known = frames.get((provider, model_id, operation, endpoint)) if plain else None
        if known is not None:
            return known
        policy = self._config.policy(provider, model_id)
        place = endpoint if policy.endpoint is None else policy.endpoint
        frame = frame_of(provider, model_id, operation, place, policy.namespace, policy.cache_version)
        known = frame, needs_sealing(policy, sensitive=False)
        if plain:
            if len(frames) >= _FRAMES_REMEMBERED:
                frames.clear()
            frames[provider, model_id, operation, endpoint] = known
        return known

    def _warn_of(self, refusal: Miss) -> None:
        """Say once that a request is answered without the cache, where its author would not expect it."""
        if refusal.reason is MissReason.UNCACHEABLE:
            self._entries.directory.tell(
                "cache a request", refusal.detail or "", profile=self._config.profile
            )
        elif refusal.reason is MissReason.SENSITIVE:
            self._entries.directory.tell(
                "cache a sensitive request",
                "encryption is off or has no key",
                profile=self._config.profile,
                hint="set SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE",
            )

    def _entry(
        self,
        key: str,
        provider: str,
        model_id: str,
        request: Any,
        response: dict[str, Any],
        ttl: float | None,
        policy: Policy,
    ) -> CacheEntry:
        return CacheEntry(
            key=key,
            provider=provider,
            model_id=model_id,
            response=response,
            timestamp=self._clock(),
            ttl=ttl,
            profile=self._config.profile,
            digests=key.digests if isinstance(key, CacheKey) else {},
            request=request if policy.store_requests else None,
            namespace=policy.namespace,
        )

    def _found(self, at: Address, key: str) -> tuple[Hit | Miss, Policy, tuple[str, str]]:
        """What stands at an address, judged by the settings of the model that the key, the entry, or else the folder names."""
        found = self._entries.open(at, key, note_use=self._config.mode.writes)
        if isinstance(key, CacheKey):
            names = key.provider, key.model_id
        elif isinstance(found, CacheEntry):
            names = found.provider, found.model_id
        else:
            names = at.provider_folder, at.model_folder
        policy = self._config.policy(*names)
        return self._entries.fresh(found, policy, policy.mode), policy, names

    def _found_by_text(self, key: str, provider: str | None) -> Hit | Miss:
        """What the entry of a plain text answers: one question, however many folders hold one; the first hit decides."""
        started = perf_counter()
        found: Hit | Miss = Miss(MissReason.ABSENT)
        about = (provider or "", "", self._entries.name(key, sealed=True), self._config.mode)
        asked = self._config.enabled and self._config.mode.reads
        for at in self._entries.addresses(key, provider):
            judged, policy, names = self._found(at, key)
            if policy.enabled and policy.mode.reads and not isinstance(found, Hit):
                asked = True
                if judged != Miss(MissReason.ABSENT):
                    sealed = needs_sealing(policy, sensitive=False)
                    name = self._entries.shown_name(at, key, sealed=sealed)
                    found, about = judged, (*names, name, policy.mode)
        if not asked:
            return Miss(MissReason.BYPASSED)
        self._entries.observer.count(found, *about, None, started)
        return found


_instance: CacheManager | None = None
_instances: weakref.WeakValueDictionary[CacheConfig, CacheManager] = weakref.WeakValueDictionary()
_instances_lock = Lock()


def _shared(config: CacheConfig) -> CacheManager:
    manager = _instances.get(config)
    if manager is None or manager.config != config:
        # The second happens after a reload: the manager has moved on to another configuration.
        manager = _instances[config] = CacheManager(config)
    return manager


def _loaded(config: CacheConfig | None) -> CacheConfig:
    from spark_cache.config import CacheConfig, load_config  # noqa: PLC0415 - pydantic is loaded with the first configuration

    if config is None:
        return load_config()
    if not isinstance(config, CacheConfig):
        raise TypeError(f"config takes a CacheConfig, not {type(config).__name__}")
    return config


def _lifetime(seconds: float) -> float | None:
    """A lifetime as an entry holds it: None is for ever."""
    if not isinstance(seconds, int | float) or not seconds >= 0:
        raise ValueError(
            f"ttl_seconds={seconds!r}: it takes seconds from 0 up, or None for the configured time"
        )
    return None if seconds == inf else seconds


def _ring_of(config: CacheConfig) -> KeyRing | None:
    keys = config.fernet_keys()
    if not keys:
        return None
    from spark_cache.entries.keyring import KeyRing  # noqa: PLC0415 - without keys there is no need of cryptography

    return KeyRing(keys)


def _figures(totals: Totals) -> dict[str, Any]:
    return {**asdict(totals), "hit_rate": totals.hit_rate}
