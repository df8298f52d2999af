"""The stand-in provider: its address, request log, failures and delays."""

from __future__ import annotations

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import openai
import pytest

from spark_cache.testing import ReceivedRequest, StandInProvider
from spark_cache.testing.standin.provider import realistic_latency

HELLO = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


def send(provider, method="POST", path="/v1/chat/completions", body=HELLO, **headers):
    """Send a request without the SDK; return the status, the content type and the parsed response."""
    address = urlsplit(provider.base_url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        connection.request(method, path, payload, {"Authorization": "Bearer any", **headers})
        answer = connection.getresponse()
        return answer.status, answer.headers.get_content_type(), json.loads(answer.read())
    finally:
        connection.close()


def test_the_address_is_local(provider):
    """The base URL is a loopback address that ends in ``/v1``."""
    address = urlsplit(provider.base_url)

    assert (address.scheme, address.hostname, address.path) == ("http", "127.0.0.1", "/v1")


def test_the_address_is_unknown_before_the_start():
    """Before the start, ``base_url`` raises an error that says what to do."""
    with pytest.raises(RuntimeError, match="use it in a 'with' statement"):
        _ = StandInProvider().base_url


def test_the_port_can_be_chosen():
    """A stand-in listens on the given port, even if another stand-in has just stopped using it."""
    with StandInProvider() as first:
        port = urlsplit(first.base_url).port
    with StandInProvider(port=port) as second:
        assert second.base_url == first.base_url
        assert send(second)[0] == 200


def test_a_running_stand_in_cannot_be_started_again(provider):
    """Entering a stand-in twice is an error."""
    with pytest.raises(RuntimeError, match="already running"):
        provider.__enter__()


def test_nothing_runs_after_exit():
    """On exit, the port is closed and all threads end, even if a client still holds a connection."""
    before = set(threading.enumerate())
    with StandInProvider() as provider:
        address = urlsplit(provider.base_url)
        held = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        held.request("GET", "/v1/models")
        held.getresponse().read()
    held.close()

    # A thread of an earlier test may end meanwhile, so the threads are compared one by one.
    assert set(threading.enumerate()) - before == set()
    with pytest.raises(ConnectionRefusedError):
        send(provider)


def test_every_request_is_logged(provider):
    """The log holds the path and body of each request, in order, whether it succeeded or failed."""
    send(provider)
    send(provider, path="/v1/nonsense", body=b"no JSON")

    assert provider.requests == (
        ReceivedRequest("/v1/chat/completions", HELLO),
        ReceivedRequest("/v1/nonsense", "no JSON"),
    )


def test_concurrent_requests_are_all_counted(provider):
    """A hundred concurrent requests count as a hundred calls."""
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: send(provider)[0], range(100)))

    assert statuses == [200] * 100
    assert provider.calls == 100


def test_a_failure_reaches_the_client(provider, client):
    """An injected failure raises the SDK's error for its status, with the given body."""
    provider.fail_next(429, {"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}})

    with pytest.raises(openai.RateLimitError, match=r"Slow down\.") as caught:
        client.chat.completions.create(**HELLO)

    assert caught.value.code == "rate_limit_exceeded"


def test_failures_happen_in_order_and_end(provider):
    """Failures happen one by one in the order of the calls; later requests succeed again."""
    provider.fail_next(500, times=2)
    provider.fail_next(400)

    assert [send(provider)[0] for _ in range(4)] == [500, 500, 400, 200]


def test_a_failure_may_have_a_plain_text_body(provider, client):
    """The body of a failure may be plain text, as a proxy would send."""
    provider.fail_next(502, "Bad gateway")

    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(**HELLO)

    assert caught.value.response.text == "Bad gateway"


def test_the_sdk_retries_a_failure(provider):
    """A client that retries gets a response after a failure, and both calls count."""
    provider.fail_next(503)
    with openai.OpenAI(base_url=provider.base_url, api_key="any", max_retries=1) as client:
        client.chat.completions.create(**HELLO)

    assert provider.calls == 2


@pytest.mark.parametrize(("status", "times"), [(200, 1), (500, 0)])
def test_an_invalid_failure_is_refused(status, times):
    """A failure needs an error status and must happen at least once."""
    with pytest.raises(ValueError, match="status must be at least 400 and times at least 1"):
        StandInProvider().fail_next(status, times=times)


def test_a_response_is_delayed():
    """A response is delayed by at least the configured latency."""
    with StandInProvider(latency_seconds=0.05) as provider:
        started = time.monotonic()
        send(provider)

        assert time.monotonic() - started >= 0.05


def test_exit_does_not_wait_for_a_delayed_response():
    """On exit, the stand-in drops a request whose response is still delayed."""
    with ThreadPoolExecutor(1) as pool, StandInProvider(latency_seconds=300) as provider:
        waiting = pool.submit(send, provider)
        while not provider.calls:
            time.sleep(0.001)
        provider.__exit__(None, None, None)

        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            waiting.result(timeout=30)


@pytest.mark.parametrize(("length", "seconds"), [(0, 0.3), (100, 0.5), (450, 1.2), (100_000, 1.2)])
def test_a_realistic_latency_grows_with_the_request(length, seconds):
    """The response to a longer request is delayed longer, between 0.3 and 1.2 seconds."""
    assert realistic_latency(length) == pytest.approx(seconds)


def test_a_realistic_latency_is_applied():
    """With a realistic latency, the response to a short request takes at least 0.3 seconds."""
    with StandInProvider(latency_seconds="realistic") as provider:
        started = time.monotonic()
        send(provider, body={})

        assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize("latency", [-1, float("nan"), float("inf"), "slow"])
def test_an_invalid_latency_is_refused(latency):
    """A negative, infinite or unknown latency is refused."""
    with pytest.raises(ValueError, match="realistic"):
        StandInProvider(latency_seconds=latency)


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"path": "/v1/nonsense"}, 404, "unknown_url"),
        ({"method": "DELETE"}, 405, "method_not_supported"),
        ({"Authorization": ""}, 401, "invalid_api_key"),
        ({"Authorization": "Bearer "}, 401, "invalid_api_key"),
        ({"body": b'{"model":'}, 400, "invalid_json"),
        ({"body": b"\xff"}, 400, "invalid_json"),
        ({"body": ["a", "list"]}, 400, "invalid_json"),
        ({"body": {"model": "gpt-4o"}}, 400, "missing_required_parameter"),
    ],
)
def test_an_invalid_request_gets_an_error_response(provider, request_, status, code):
    """An invalid request is refused with a JSON error in the format of the service."""
    got, content_type, answer = send(provider, **request_)

    assert (got, content_type) == (status, "application/json")
    assert answer["error"]["code"] == code
    assert answer["error"]["type"] == "invalid_request_error"
    assert answer["error"]["message"]


def test_a_request_of_unknown_length_is_refused(provider):
    """A chunked request body is refused at once, before it is read."""
    address = urlsplit(provider.base_url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    connection.putrequest("POST", "/v1/embeddings")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()

    assert status == http.HTTPStatus.LENGTH_REQUIRED


def test_a_connection_survives_an_error_response(provider):
    """Several requests share a connection, even after an error response."""
    address = urlsplit(provider.base_url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    statuses = []
    for path in ("/v1/nonsense", "/v1/chat/completions"):
        connection.request("POST", path, json.dumps(HELLO), {"Authorization": "Bearer any"})
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()

    assert statuses == [404, 200]


def test_an_exception_in_a_script_reaches_the_client():
    """An exception in a script reaches the client as one server error, without retries."""

    def broken(_body):
        raise LookupError("no line for this")

    with (
        StandInProvider(answer=broken) as provider,
        openai.OpenAI(base_url=provider.base_url, api_key="any") as client,
    ):
        with pytest.raises(openai.InternalServerError, match="LookupError: no line for this"):
            client.chat.completions.create(**HELLO)

        assert provider.calls == 1
