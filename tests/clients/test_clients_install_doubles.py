"""``install`` with libraries that replace responses or the same methods: a fake is delivered and never stored."""

from __future__ import annotations

import subprocess
import sys
from functools import wraps
from importlib.util import find_spec

import httpx
import httpx2
import pytest
import respx
import vcr
from models_world import completion, entry_files

from spark_cache import CacheManager, load_config
from spark_cache.clients import install, installed, uninstall

QUESTION = [{"role": "user", "content": "What is Python?"}]
BODY = {"model": "gpt-4o", "messages": QUESTION}
FAKE = completion({"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "fake"}})
EVENTS = b'data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"fake"}}]}\n\n'
LIBRARIES = [pytest.param(httpx, id="httpx"), pytest.param(httpx2, id="httpx2")]
METHODS = [("HTTPTransport", "handle_request"), ("AsyncHTTPTransport", "handle_async_request")]
PATCHED = [(getattr(library, kind), method) for library in (httpx, httpx2) for kind, method in METHODS]


@pytest.fixture(autouse=True)
def nothing_stays():
    """The classes are as they were after each test."""
    before = [vars(kind)[method] for kind, method in PATCHED]
    yield
    assert [vars(kind)[method] for kind, method in PATCHED] == before


@pytest.fixture
def manager(cache_dir):
    return CacheManager(load_config(enabled=True, cache_dir=cache_dir))


@pytest.fixture
def url(provider):
    return f"{provider.base_url}/chat/completions"


def post(library, url, **more):
    with library.Client(headers={"authorization": "Bearer test"}) as client:
        return client.post(url, json={**BODY, **more})


async def post_async(library, url, **more):
    async with library.AsyncClient(headers={"authorization": "Bearer test"}) as client:
        return await client.post(url, json={**BODY, **more})


@pytest.mark.parametrize("order", ["install first", "respx first"])
async def test_respx(manager, cache_dir, url, provider, order):
    """The library replaces the connections of httpx. Real requests are cached again afterwards."""
    double = respx.mock(assert_all_called=False)
    if order == "install first":
        install(cache_manager=manager)
        double.start()
    else:
        double.start()
        install(cache_manager=manager)
    double.post(url).respond(json=FAKE)
    assert post(httpx, url).json() == FAKE
    assert (await post_async(httpx, url)).json() == FAKE
    assert double.calls.call_count == 2
    assert entry_files(cache_dir) == []

    if order == "install first":
        double.stop()
        assert [post(httpx, url).headers["x-spark-cache"] for _ in range(2)] == ["miss", "hit"]
        uninstall()
    else:
        uninstall()
        assert post(httpx, url).json() == FAKE
        double.stop()
        assert post(httpx, url).json() != FAKE
    assert provider.calls == 1


async def test_a_stream_of_a_double(manager, cache_dir, url):
    """It is delivered as it is."""
    with installed(cache_manager=manager), respx.mock:
        respx.post(url).respond(content=EVENTS, content_type="text/event-stream")
        assert post(httpx, url, stream=True).content == EVENTS
        assert (await post_async(httpx, url, stream=True)).content == EVENTS

    assert entry_files(cache_dir) == []


@pytest.mark.parametrize("library", LIBRARIES)
async def test_mock_transports(library, manager, cache_dir):
    """A transport of the caller is not asked by the cache at all."""
    transport = library.MockTransport(lambda _: library.Response(200, json=FAKE))
    with installed(cache_manager=manager):
        with library.Client(transport=transport) as client:
            response = client.post("http://nowhere/v1/chat/completions", json=BODY)
        async with library.AsyncClient(transport=transport) as client:
            other = await client.post("http://nowhere/v1/chat/completions", json=BODY)

    assert response.json() == other.json() == FAKE
    assert "x-spark-cache" not in response.headers
    assert not cache_dir.exists()


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("inside", [True, False], ids=["installed inside", "installed outside"])
async def test_vcr(library, manager, cache_dir, url, provider, tmp_path, inside):
    """A cassette records real responses, and what it plays is not stored."""
    cassette = str(tmp_path / "cassette.yaml")

    def recorder(mode):
        return vcr.VCR(record_mode=mode).use_cassette(cassette)

    contexts = [recorder("once"), installed(cache_manager=manager)]
    first, second = contexts if inside else reversed(contexts)
    with first, second:
        real = post(library, url)
        real_async = await post_async(library, url, user="x")
    assert provider.calls == 2
    manager.clear_all()

    contexts = [recorder("none"), installed(cache_manager=manager)]
    first, second = contexts if inside else reversed(contexts)
    with first, second:
        assert post(library, url).json() == real.json()
        assert (await post_async(library, url, user="x")).json() == real_async.json()
    assert provider.calls == 2
    assert entry_files(cache_dir) == []

    with installed(cache_manager=manager):
        assert [post(library, url).headers["x-spark-cache"] for _ in range(2)] == ["miss", "hit"]


PYTEST_HTTPX = """
import httpx, pytest
from spark_cache import CacheManager, load_config
from spark_cache.clients import install, installed, uninstall

FAKE, BODY, URL, DIRECTORY = {fake!r}, {body!r}, {url!r}, {directory!r}
HEADERS = {{"authorization": "Bearer test"}}

@pytest.fixture
def outside():
    with installed(enabled=True, cache_dir=DIRECTORY):
        yield

def test_installed_outside(outside, httpx_mock):
    httpx_mock.add_response(json=FAKE)
    assert httpx.post(URL, json=BODY).json() == FAKE

@pytest.mark.asyncio
async def test_installed_inside(httpx_mock):
    httpx_mock.add_response(json=FAKE, is_reusable=True)
    with installed(enabled=True, cache_dir=DIRECTORY):
        assert httpx.post(URL, json=BODY).json() == FAKE
        async with httpx.AsyncClient() as client:
            assert (await client.post(URL, json=BODY)).json() == FAKE

def test_installed_inside_and_left(httpx_mock):
    httpx_mock.add_response(json=FAKE)
    install(enabled=True, cache_dir=DIRECTORY)
    assert httpx.post(URL, json=BODY).json() == FAKE

def test_uninstalled_after_the_double():
    uninstall()
    assert not hasattr(httpx.HTTPTransport.handle_request, "__wrapped__")

@pytest.mark.httpx_mock(should_mock=lambda request: False)
def test_not_mocked(outside, httpx_mock):
    assert [httpx.post(URL, json=BODY, headers=HEADERS).headers["x-spark-cache"] for _ in range(2)] == ["miss", "hit"]

def test_real_afterwards(outside):
    assert httpx.post(URL, json={{**BODY, "user": "x"}}, headers=HEADERS).headers["x-spark-cache"] == "miss"
"""


@pytest.mark.skipif(find_spec("pytest_httpx") is None, reason="needs pytest-httpx")
def test_pytest_httpx(cache_dir, url, provider, tmp_path):
    """The fixture replaces the same methods as the cache, whichever of them begins and ends first."""
    suite = tmp_path / "test_suite.py"
    suite.write_text(PYTEST_HTTPX.format(fake=FAKE, body=BODY, url=url, directory=str(cache_dir)))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", str(suite)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )

    assert "6 passed" in done.stdout, done.stdout
    assert provider.calls == 2
    assert len(entry_files(cache_dir)) == 2


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("first", ["other", "cache"])
@pytest.mark.parametrize("ends", ["other", "cache"])
def test_patches_end_in_any_order(library, manager, url, provider, first, ends):
    """What another library put around the method, before or after, works as long as it is there, and goes with it."""
    seen = []

    def watching(old):
        def handle(self, request):
            seen.append(request.url)
            return old(self, request)

        return handle

    other = pytest.MonkeyPatch()

    def begin_other():
        other.setattr(library.HTTPTransport, "handle_request", watching(library.HTTPTransport.handle_request))

    begin = {"other": begin_other, "cache": lambda: install(cache_manager=manager)}
    end = {"other": other.undo, "cache": uninstall}
    second, stays = ({"other": "cache", "cache": "other"}[name] for name in (first, ends))

    begin[first]()
    begin[second]()
    assert [post(library, url).headers["x-spark-cache"] for _ in range(2)] == ["miss", "hit"]
    # The one on the outside sees the hit too.
    assert len(seen) == (2 if first == "cache" else 1)
    end[ends]()
    seen.clear()
    post(library, url)
    assert bool(seen) == (stays == "other")
    end[stays]()
    post(library, url)
    assert len(seen) == (1 if stays == "other" else 0)
    # What is left in the class, if anything, passes requests on, and goes with the next uninstall.
    with installed(cache_manager=manager):
        assert post(library, url).headers["x-spark-cache"] == "hit"


def test_an_attribute_that_others_copied_is_not_taken_for_the_cache(manager):
    """A replacement made with ``functools.wraps`` has the attributes of ours, but is left where it is."""
    install(cache_manager=manager)
    ours = httpx2.HTTPTransport.handle_request

    @wraps(ours)
    def other(self, request):
        return ours(self, request)

    httpx2.HTTPTransport.handle_request = other
    uninstall()
    assert httpx2.HTTPTransport.handle_request is other
    httpx2.HTTPTransport.handle_request = ours
    with installed(cache_manager=manager):
        pass


def test_rounds_under_another_patch_make_no_chain(manager):
    """However often the cache comes and goes under a patch that stays, the depth of the wrappers does not grow."""
    real = httpx2.HTTPTransport.handle_request
    with installed(cache_manager=manager):
        ours = httpx2.HTTPTransport.handle_request

        def other(self, request):
            return ours(self, request)

        httpx2.HTTPTransport.handle_request = other
    for _ in range(100):
        install(cache_manager=manager)
        uninstall()
    assert httpx2.HTTPTransport.handle_request is other
    httpx2.HTTPTransport.handle_request = real
