"""Running the stand-in provider: its address, its log, its failures and its delays."""

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
    """Send a request without the SDK; give the status, the content type and the parsed answer."""
    address = urlsplit(provider.base_url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        connection.request(method, path, payload, {"Authorization": "Bearer any", **headers})
        answer = connection.getresponse()
        return answer.status, answer.headers.get_content_type(), json.loads(answer.read())
    finally:
        connection.close()


def test_the_address_is_on_this_machine(provider):
    """The base URL is a loopback address that ends in the version of the interface."""
    address = urlsplit(provider.base_url)

    assert (address.scheme, address.hostname, address.path) == ("http", "127.0.0.1", "/v1")


def test_the_address_is_unknown_before_the_start():
    """Before the stand-in runs, asking for its address says what to do."""
    with pytest.raises(RuntimeError, match="enter it with 'with'"):
        _ = StandInProvider().base_url


def test_a_port_can_be_asked_for():
    """A stand-in listens where it is told to, also where another has just stopped."""
    with StandInProvider() as first:
        port = urlsplit(first.base_url).port
    with StandInProvider(port=port) as second:
        assert second.base_url == first.base_url
        assert send(second)[0] == 200


def test_a_running_stand_in_is_not_started_again(provider):
    """Entering a stand-in twice is an error."""
    with pytest.raises(RuntimeError, match="already running"):
        provider.__enter__()


def test_nothing_runs_after_the_end():
    """On leaving, the port is closed and no thread is left, though a client still holds its connection."""
    before = threading.active_count()
    with StandInProvider() as provider:
        address = urlsplit(provider.base_url)
        held = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        held.request("GET", "/v1/models")
        held.getresponse().read()
    held.close()

    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        send(provider)


def test_every_request_is_logged(provider):
    """The log holds path and body of what arrived, in its order, answered or refused."""
    send(provider)
    send(provider, path="/v1/nonsense", body=b"no JSON")

    assert provider.requests == (
        ReceivedRequest("/v1/chat/completions", HELLO),
        ReceivedRequest("/v1/nonsense", "no JSON"),
    )


def test_concurrent_requests_are_all_counted(provider):
    """A hundred requests at once are a hundred calls."""
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: send(provider)[0], range(100)))

    assert statuses == [200] * 100
    assert provider.calls == 100


def test_a_failure_reaches_the_client(provider, client):
    """A failure that a test asked for is the SDK's error of that status, with the body as given."""
    provider.fail_next(429, {"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}})

    with pytest.raises(openai.RateLimitError, match=r"Slow down\.") as caught:
        client.chat.completions.create(**HELLO)

    assert caught.value.code == "rate_limit_exceeded"


def test_failures_come_in_order_and_end(provider):
    """Failures are used up one by one in the order they were asked for; then answers come again."""
    provider.fail_next(500, times=2)
    provider.fail_next(400)

    assert [send(provider)[0] for _ in range(4)] == [500, 500, 400, 200]


def test_a_failure_may_be_a_text(provider, client):
    """A failure may carry a text that is no JSON, as a proxy's does."""
    provider.fail_next(502, "Bad gateway")

    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(**HELLO)

    assert caught.value.response.text == "Bad gateway"


def test_the_sdk_retries_a_failure(provider):
    """A client that retries gets its answer after a failure, and both calls count."""
    provider.fail_next(503)
    with openai.OpenAI(base_url=provider.base_url, api_key="any", max_retries=1) as client:
        client.chat.completions.create(**HELLO)

    assert provider.calls == 2


@pytest.mark.parametrize(("status", "times"), [(200, 1), (500, 0)])
def test_a_failure_must_be_one(status, times):
    """A success is no failure, and neither is one that never happens."""
    with pytest.raises(ValueError, match="from 400 up"):
        StandInProvider().fail_next(status, times=times)


def test_an_answer_is_held_back():
    """An answer comes no sooner than the latency asked for."""
    with StandInProvider(latency_seconds=0.05) as provider:
        started = time.monotonic()
        send(provider)

        assert time.monotonic() - started >= 0.05


def test_the_end_does_not_wait_for_an_answer_held_back():
    """Leaving the stand-in drops a request that is still held back."""
    with ThreadPoolExecutor(1) as pool, StandInProvider(latency_seconds=300) as provider:
        waiting = pool.submit(send, provider)
        while not provider.calls:
            time.sleep(0.001)
        provider.__exit__(None, None, None)

        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            waiting.result(timeout=30)


@pytest.mark.parametrize(("length", "seconds"), [(0, 0.3), (100, 0.5), (450, 1.2), (100_000, 1.2)])
def test_a_realistic_latency_grows_with_the_request(length, seconds):
    """A longer request is held back longer, between 0.3 and 1.2 seconds."""
    assert realistic_latency(length) == pytest.approx(seconds)


def test_a_realistic_latency_is_waited():
    """A realistic stand-in holds a short request back for a third of a second or more."""
    with StandInProvider(latency_seconds="realistic") as provider:
        started = time.monotonic()
        send(provider, body={})

        assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize("latency", [-1, float("nan"), float("inf"), "slow"])
def test_a_latency_must_be_a_time(latency):
    """A latency that no clock can wait is refused."""
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
def test_a_refusal_is_an_error_in_the_service_s_form(provider, request_, status, code):
    """A request that no route can answer is refused with JSON that says why."""
    got, content_type, answer = send(provider, **request_)

    assert (got, content_type) == (status, "application/json")
    assert answer["error"]["code"] == code
    assert answer["error"]["type"] == "invalid_request_error"
    assert answer["error"]["message"]


def test_a_request_of_unknown_length_is_refused(provider):
    """A body sent in chunks is refused before anybody waits for its end."""
    address = urlsplit(provider.base_url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    connection.putrequest("POST", "/v1/embeddings")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()

    assert status == http.HTTPStatus.LENGTH_REQUIRED


def test_a_connection_outlives_a_refusal(provider):
    """Several requests share a connection, whatever the answers."""
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


def test_a_script_that_fails_is_told_to_the_client():
    """What a scripted answer raises reaches the client once, as a server's error, without retries."""

    def broken(_body):
        raise LookupError("no line for this")

    with (
        StandInProvider(answer=broken) as provider,
        openai.OpenAI(base_url=provider.base_url, api_key="any") as client,
    ):
        with pytest.raises(openai.InternalServerError, match="LookupError: no line for this"):
            client.chat.completions.create(**HELLO)

        assert provider.calls == 1
