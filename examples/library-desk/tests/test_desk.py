"""Tests for the help desk."""

import asyncio

import pytest
from desk import department, suggest

pytestmark = pytest.mark.spark_cache


def test_a_suggestion_keeps_to_the_topic():
    assert "volcanoes" in asyncio.run(suggest("volcanoes"))


@pytest.mark.parametrize(
    ("question", "expected"),
    [("Where do I find science for beginners?", "science"), ("Any fiction set in Lisbon?", "fiction")],
)
def test_a_question_goes_to_its_department(question, expected):
    assert asyncio.run(department(question)) == expected
