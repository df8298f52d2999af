"""A checkout can raise the encryption that a user profile asks for, never lower it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from config_world import World


@pytest.mark.parametrize("layer", ["project profile", ".env"])
def test_a_checkout_does_not_lower_the_level(world: World, layer: str) -> None:
    """The user profile wins, although its layer is lower. Its origin says why."""
    world.user("mine", '[cache]\nencryption = "all"\n')
    key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    world.environ["SPARK_CACHE_ENCRYPTION_KEY"] = key
    if layer == ".env":
        world.dotenv("SPARK_CACHE_ENCRYPTION=off\n")
    else:
        world.profile("mine", '[cache]\nencryption = "off"\n')

    config = world.load("mine")

    origin = config.origins["encryption"]
    assert (config.encryption, origin.kind) == ("all", "user profile")
    assert origin.note == "a checkout cannot lower the encryption of a user profile"
    assert [shadow.kind for shadow in origin.shadows] == [layer, "default"]


def test_a_checkout_raises_the_level(world: World) -> None:
    """More encryption is always accepted."""
    world.user("mine", '[cache]\nencryption = "off"\n')
    world.profile("mine", '[cache]\nencryption = "sensitive"\n')

    assert world.load("mine").encryption == "sensitive"


def test_the_user_lowers_the_level(world: World) -> None:
    """Code and the environment belong to the user."""
    world.user("mine", '[cache]\nencryption = "sensitive"\n')
    world.environ["SPARK_CACHE_ENCRYPTION"] = "off"

    assert world.load("mine").encryption == "off"
    assert world.load("mine", encryption="sensitive").encryption == "sensitive"
