"""Embeddings of the stand-in, requested with the real SDK."""

from __future__ import annotations

import base64
import math
import struct

import openai
import pytest

MODEL = "text-embedding-3-small"


def vector(client, text, model=MODEL, **parameters):
    return client.embeddings.create(model=model, input=text, **parameters).data[0].embedding


def test_a_vector_has_length_one(client):
    """Every vector is a unit vector."""
    assert math.hypot(*vector(client, "Hello")) == pytest.approx(1, abs=1e-6)


def test_equal_texts_have_equal_vectors(client):
    """The same text always gives the same vector."""
    assert vector(client, "Hello") == vector(client, "Hello")


def test_different_texts_have_different_vectors(client):
    """A different text gives a different vector."""
    assert vector(client, "Hello") != vector(client, "hello")


def test_different_models_have_different_vectors(client):
    """A different model gives a different vector."""
    assert vector(client, "Hello") != vector(client, "Hello", model="text-embedding-ada-002")


def test_both_encodings_hold_the_same_numbers(client):
    """Base64 and plain numbers give the same vector."""
    packed = base64.b64decode(vector(client, "Hello", encoding_format="base64"))

    assert list(struct.unpack("<1536f", packed)) == vector(client, "Hello", encoding_format="float")


@pytest.mark.parametrize(("model", "dimensions"), [(MODEL, 1536), ("text-embedding-3-large", 3072)])
def test_a_model_has_its_default_dimensions(client, model, dimensions):
    """Vectors have as many dimensions as those of the real model."""
    assert len(vector(client, "Hello", model=model)) == dimensions


def test_fewer_dimensions_are_the_first_of_more(client):
    """A shortened vector is the start of the full vector, scaled to length 1."""
    whole, short = vector(client, "Hello"), vector(client, "Hello", dimensions=8)
    scale = math.hypot(*whole[:8])

    assert short == pytest.approx([number / scale for number in whole[:8]], abs=1e-6)


def test_vectors_are_in_the_order_of_the_inputs(client):
    """The vectors of several texts are in the order of the texts."""
    texts = ["a", "b", "a"]
    data = client.embeddings.create(model=MODEL, input=texts).data

    assert [item.index for item in data] == [0, 1, 2]
    assert [item.embedding for item in data] == [vector(client, text) for text in texts]


def test_a_list_of_tokens_is_one_input(client):
    """A list of integers is one input, and its length is its token usage."""
    answer = client.embeddings.create(model=MODEL, input=[1, 2, 3, 4, 5])

    assert len(answer.data) == 1
    assert answer.usage.prompt_tokens == 5


def test_usage_follows_the_rule(client):
    """Every four characters count as one token."""
    answer = client.embeddings.create(model=MODEL, input=["12345678", "123456789"])

    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (5, 5)


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["fine", ""]}, "input"),
        ({"input": [["a"]]}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": 5}, "input"),
        ({"model": None}, "model"),
        ({"dimensions": 0}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
    ],
)
def test_a_bad_request_is_refused(client, parameters, param):
    """A request that the service would refuse is refused with an error that names the parameter."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(**{"model": MODEL, "input": "Hello", **parameters})

    assert caught.value.param == param
