from __future__ import annotations

import openai
import pytest

from spark_cache.testing import StandInProvider


@pytest.fixture
def provider():
    with StandInProvider() as running:
        yield running


@pytest.fixture
def client(provider):
    with openai.OpenAI(base_url=provider.base_url, api_key="any", max_retries=0) as connected:
        yield connected
