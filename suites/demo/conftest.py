"""The demo's tests live in a world: see fixtures/world."""

from fixtures.world.stage import cast_of, deployment, make_world, this_run, turn, world

__all__ = ["cast_of", "deployment", "make_world", "this_run", "turn", "world"]
