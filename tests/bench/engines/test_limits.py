"""How long a run may take."""

from __future__ import annotations

import pytest

from bench.engines.limits import Limits
from bench.plan.costs import expected_cost
from bench.plan.profiles import PROFILES, plan_of
from tests.trainers import made_up_run

ONE = made_up_run(0, "Model4")
PEER = made_up_run(1, "Model4")
OTHER = made_up_run(0, "Model5")


def limits() -> Limits:
    """Return limits with factors that are easily told apart, and a floor that does not matter."""
    return Limits(floor_seconds=0.0, of_peers=10, of_others=50, of_nothing=200)


def test_peers_come_first() -> None:
    """The limit is a multiple of the slowest run of the same variant and backend."""
    known = limits()
    known.learn(OTHER, 1000.0)
    known.learn(PEER, 2.0)
    known.learn(ONE, 3.0)
    known.learn(PEER, 1.0)
    assert known.of(ONE).seconds == 30.0
    assert known.of(ONE).grounds == (
        "no result after 30 seconds, which is 10 times the slowest of its 3 peers"
    )


def test_one_peer() -> None:
    """One peer is a peer."""
    known = limits()
    known.learn(PEER, 2.0)
    assert known.of(ONE).grounds.endswith("10 times the slowest of its 1 peer")


def test_others_are_scaled() -> None:
    """Without peers the others say how fast this machine is, by what each was expected to cost."""
    known = limits()
    known.learn(OTHER, 3 * expected_cost(OTHER))
    known.learn(made_up_run(0, "Model6"), 2 * expected_cost(made_up_run(0, "Model6")))
    assert known.of(ONE).seconds == pytest.approx(50 * 3 * expected_cost(ONE))
    assert "50 times what the other runs suggest" in known.of(ONE).grounds


def test_nothing_is_known() -> None:
    """The first runs of a night have a limit too: otherwise one that hangs hangs the night."""
    assert limits().of(ONE).seconds == pytest.approx(200 * expected_cost(ONE))
    assert "200 times what it should take" in limits().of(ONE).grounds


def test_ceiling() -> None:
    """A thousand seeds at once, of which nothing is known, do not have a thousand limits."""
    known = Limits(floor_seconds=0.0, of_nothing=200, ceiling_seconds=5000.0)
    assert known.of(ONE, 1000).seconds == pytest.approx(5000.0)
    assert known.of(ONE).seconds == pytest.approx(200 * expected_cost(ONE))
    known.learn(PEER, 100.0)
    assert known.of(ONE, 1000).seconds > 5000.0


def test_floor() -> None:
    """However quick the others are, nothing is ended before the floor."""
    known = Limits(floor_seconds=60.0, of_peers=10)
    known.learn(PEER, 0.5)
    assert known.of(ONE).seconds == 60.0
    assert "no result after 60 seconds, which is 120 times the slowest" in known.of(ONE).grounds


def test_defaults_are_generous() -> None:
    """No run is ended within minutes, nor where it takes ten times as long as any before it."""
    known = Limits()
    assert known.floor_seconds >= 300
    assert min(known.of_peers, known.of_others, known.of_nothing) >= 10
    assert known.of_peers < known.of_others < known.of_nothing


def test_limits_share_nothing() -> None:
    """What one night has learnt is not known to another."""
    Limits().learn(PEER, 1.0)
    assert "what it should take" in Limits().of(ONE).grounds


def test_every_run_of_a_night_has_a_limit() -> None:
    """Each run of the nightly's grid can be given one."""
    runs = plan_of(
        PROFILES["nightly"],
        variants=[f"Model{number}" for number in range(8)],
        backends=None,
        seeds="2",
        dtype="float32",
        initialisation="ones",
        device="cuda",
        night=0,
    )
    assert all(Limits().of(run).seconds >= 600 for run in runs)
