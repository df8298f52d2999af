"""Programs under ``install``: a second run without a provider, replay mode, forks and worker processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from models_world import entry_files, run_python

from spark_cache.testing import StandInProvider

PROGRAM = """
import asyncio, json, sys, warnings
from spark_cache.clients import install

install(enabled=True, cache_dir=sys.argv[1])

import anthropic, httpx, httpx2, openai
from google import genai

root, elsewhere = sys.argv[2:4]
question = [{"role": "user", "content": "What is Python?"}]
said = []

with openai.OpenAI(base_url=root + "/v1", api_key="test", max_retries=0) as client:
    said.append(client.chat.completions.create(model="gpt-4o", messages=question).choices[0].message.content)
    with client.chat.completions.create(model="gpt-4o", messages=question, stream=True) as events:
        said.append("".join(event.choices[0].delta.content or "" for event in events if event.choices))
    said.append(client.responses.create(model="gpt-4o", input="What is Python?").output_text)

with anthropic.Anthropic(base_url=root, api_key="test", max_retries=0) as client:
    message = client.messages.create(model="claude-sonnet-5", max_tokens=99, messages=question)
    said.append(message.content[0].text)
    with client.messages.stream(model="claude-sonnet-5", max_tokens=98, messages=question) as stream:
        said.append("".join(stream.text_stream))

gemini = genai.Client(api_key="test", http_options={"base_url": root})
said.append(gemini.models.generate_content(model="gemini-2.5-flash", contents="What is Python?").text)
events = gemini.models.generate_content_stream(model="gemini-2.5-flash", contents="What is C?")
said.append("".join(event.text or "" for event in events))

async def ask():
    async with openai.AsyncOpenAI(base_url=root + "/v1", api_key="test", max_retries=0) as client:
        completion = await client.chat.completions.create(model="gpt-4.1", messages=question)
        said.append(completion.choices[0].message.content)
        async with await client.chat.completions.create(model="gpt-4.1", messages=question, stream=True) as events:
            said.append("".join([event.choices[0].delta.content or "" async for event in events if event.choices]))
    async with anthropic.AsyncAnthropic(base_url=root, api_key="test", max_retries=0) as client:
        message = await client.messages.create(model="claude-sonnet-5", max_tokens=97, messages=question)
        said.append(message.content[0].text)
    response = await gemini.aio.models.generate_content(model="gemini-2.5-flash", contents="What is Go?")
    said.append(response.text)
    events = await gemini.aio.models.generate_content_stream(model="gemini-2.5-flash", contents="What is Zig?")
    said.append("".join([event.text or "" async for event in events]))
    await gemini.aio.aclose()

asyncio.run(ask())
gemini.close()
for library in (httpx, httpx2):
    response = library.get(elsewhere + "/v1/models", headers={"authorization": "Bearer test"})
    assert "x-spark-cache" not in response.headers
    said.append(response.status_code)
print(json.dumps(said))
"""


def test_a_second_run_needs_no_provider(cache_dir):
    """A program with one line at its top gets all its answers again, and reaches other hosts."""
    with StandInProvider() as elsewhere:
        other = elsewhere.base_url.removesuffix("/v1")
        with StandInProvider() as provider:
            root = provider.base_url.removesuffix("/v1")
            first = run_python(PROGRAM, cache_dir, root, other)
            assert first.returncode == 0, first.stderr
            assert provider.calls == 10  # two streams are answered from the entries of plain calls
        second = run_python(PROGRAM, cache_dir, root, other)

    assert second.returncode == 0, second.stderr
    assert json.loads(second.stdout) == json.loads(first.stdout)
    assert (first.stderr, second.stderr) == ("", "")


REPLAY = """
import asyncio, sys, time
from spark_cache import CacheMissError
from spark_cache.clients import install

install(enabled=True, mode="replay", cache_dir=sys.argv[1])

import anthropic, openai
from google import genai

root = sys.argv[2]
question = [{"role": "user", "content": "What is Python?"}]
chat = {"model": "gpt-4o", "messages": question}
message = {"model": "claude-sonnet-5", "max_tokens": 99, "messages": question}
text = {"model": "gemini-2.5-flash", "contents": "What is Python?"}
gemini = genai.Client(api_key="test", http_options={"base_url": root})
openai_client = openai.OpenAI(base_url=root + "/v1", api_key="test")
anthropic_client = anthropic.Anthropic(base_url=root, api_key="test")

def check(name, call):
    started = time.perf_counter()
    try:
        call()
    except CacheMissError as error:
        print(name, error.provider, time.perf_counter() - started < 1)

async def ask(name):
    if name == "openai":
        async with openai.AsyncOpenAI(base_url=root + "/v1", api_key="test") as client:
            await client.chat.completions.create(**chat)
    elif name == "anthropic":
        async with anthropic.AsyncAnthropic(base_url=root, api_key="test") as client:
            await client.messages.create(**message)
    elif name == "gemini":
        await gemini.aio.models.generate_content(**text)
    else:
        async for _ in await gemini.aio.models.generate_content_stream(**text):
            pass

check("sync", lambda: openai_client.chat.completions.create(**chat))
check("sync", lambda: openai_client.chat.completions.create(**chat, stream=True))
check("sync", lambda: anthropic_client.messages.create(**message))
check("sync", lambda: gemini.models.generate_content(**text))
check("sync", lambda: list(gemini.models.generate_content_stream(**text)))
for name in ("openai", "anthropic", "gemini", "gemini streamed"):
    check("async", lambda: asyncio.run(ask(name)))
"""


def test_a_miss_in_replay_mode_is_raised_at_once(cache_dir, provider):
    """No SDK tries again or hides the error, and no call reaches the provider."""
    done = run_python(REPLAY, cache_dir, provider.base_url.removesuffix("/v1"))

    assert done.returncode == 0, done.stderr
    sync = ["openai", "openai", "anthropic", "gemini", "gemini"]
    asynchronous = ["openai", "anthropic", "gemini", "gemini"]
    assert done.stdout.splitlines() == [
        *(f"sync {name} True" for name in sync),
        *(f"async {name} True" for name in asynchronous),
    ]
    assert provider.calls == 0


FORK = """
import os, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of newer interpreters: a fork of a process with threads
from spark_cache.clients import install

install(enabled=True, cache_dir=sys.argv[1])
import openai

def ask(text):
    with openai.OpenAI(base_url=sys.argv[2], api_key="test", max_retries=0) as client:
        question = [{"role": "user", "content": text}]
        return client.chat.completions.create(model="gpt-4o", messages=question).choices[0].message.content

running = threading.Thread(target=lambda: print(ask("asked in the parent"), flush=True))
running.start()
time.sleep(0.5)  # the provider takes longer
if os.fork() == 0:
    print(ask("asked in the parent"), flush=True)
    print(ask("asked in the child"), flush=True)
    os._exit(0)
running.join()
_, status = os.wait()
print(ask("asked in the child"), flush=True)
print("exit", os.waitstatus_to_exitcode(status))
"""


def test_a_fork_while_a_call_runs(cache_dir):
    """The child makes its own calls, waits for the equal call of its parent, and shares the entries."""
    with StandInProvider(latency_seconds=1.5) as provider:
        started = time.monotonic()
        done = run_python(FORK, cache_dir, provider.base_url)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "exit 0"
    assert len(lines) == 5
    assert len(set(lines)) == 3
    assert provider.calls == 2
    assert time.monotonic() - started < 20


WORKERS = """
import multiprocessing, sys
from spark_cache.clients import install

install(enabled=True, cache_dir=sys.argv[1])
import httpx2

def ask(number):
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": f"Question {number % 3}"}]}
    headers = {"authorization": "Bearer test"}
    response = httpx2.post(sys.argv[2] + "/chat/completions", json=body, headers=headers)
    return response.headers["x-spark-cache"], response.json()["choices"][0]["message"]["content"]

if __name__ == "__main__":
    # The parent has used the cache and its event loop before the workers are started.
    first = ask(0)
    with multiprocessing.get_context(sys.argv[3]).Pool(3) as pool:
        answers = pool.map(ask, range(12))
    assert len({answer for _, answer in answers}) == 3
    assert ask(1)[0] == "hit"
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_worker_processes(cache_dir, provider, tmp_path, method):
    """Workers go through the cache, however they are started, and make each call once."""
    script = tmp_path / "program.py"
    script.write_text(WORKERS)
    arguments = [sys.executable, "-W", "ignore::DeprecationWarning", str(script), str(cache_dir)]
    done = subprocess.run(
        [*arguments, provider.base_url, method], check=False, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    assert provider.calls == 3
    assert len(entry_files(cache_dir)) == 3


def test_the_package_imports_neither_the_clients_nor_an_http_library():
    """Importing the package costs what it did."""
    done = run_python(
        "import sys, spark_cache\n"
        "print(sorted({'httpx', 'httpx2', 'spark_cache.clients', 'asyncio'} & sys.modules.keys()))"
    )

    assert done.stdout.strip() == "[]"


def test_a_client_at_exit_and_an_installation_that_is_left(cache_dir, provider):
    """A program may end without uninstalling, and make a call while it ends."""
    done = run_python(
        "import atexit, sys\n"
        "from spark_cache.clients import install\n"
        "install(enabled=True, cache_dir=sys.argv[1])\n"
        "import httpx2\n"
        "headers = {'authorization': 'Bearer test'}\n"
        "body = {'model': 'gpt-4o', 'messages': [{'role': 'user', 'content': 'What is Python?'}]}\n"
        "ask = lambda: print(httpx2.post(sys.argv[2] + '/chat/completions', json=body, headers=headers).status_code)\n"
        "atexit.register(ask)\n",
        cache_dir,
        provider.base_url,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "200\n", "")
    assert len(entry_files(cache_dir)) == 1
