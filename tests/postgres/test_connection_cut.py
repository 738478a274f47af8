"""The connection to PostgreSQL cut after each message of a batch, in both directions: what is
acknowledged is there once, and a lost answer of a COMMIT is found out."""

import contextlib
import random
import time

import pytest

from oracle import Oracle
from outage import PatientStage
from support import store, torture
from support import server as program
from support.world import World
from wire import TO_CLIENT, TO_DATABASE, Wire

STEPS_MAX = 400
STRIDES = {TO_DATABASE: torture.size(3, 1), TO_CLIENT: 1}  # odd: both sorts of cuts
KINDS = torture.size([None], [None, "click", "convert", "collect", "view"])


@contextlib.contextmanager
def cut_stage(cluster, directory):
    """A server whose one connection for events goes over the wire."""
    with contextlib.ExitStack() as stack:
        wire = stack.enter_context(contextlib.closing(Wire(cluster.port)))
        data = program.temp_dir()
        url = store.url_of(data).replace(str(cluster.port), str(wire.port))
        url += "?sslmode=disable&gssencmode=disable"
        world = World(["--store", url, "--store-connections", "1"], data=data)
        stack.callback(world.close)
        oracle = stack.enter_context(contextlib.closing(Oracle(directory / "oracle")))
        yield PatientStage(world, oracle), wire


def events_of(stage, rng, kind):
    """One event of each kind, of one bid, or only those of a kind."""
    (ad,) = stage.world.mint_many([stage.world.ad(poll_id=stage.poll)])
    events = [stage.click(ad), stage.convert(rng), stage.view(rng, ad), stage.collect(rng),
              stage.feedback(rng, ad), stage.rate(rng, ad), stage.vote(rng, ad)]
    return [e for e in events if kind is None or e.key.startswith(kind + " ")]


def await_service(stage, rng):
    """So that each cut meets a connection that is there."""
    end = time.monotonic() + 10
    while True:
        refused = stage.refused
        with stage.world.connect() as conn:
            stage.send(conn, [stage.collect(rng)])
        if stage.refused == refused:
            return
        assert time.monotonic() < end, "no service"
        time.sleep(0.02)


def cut_each_step(stage, wire, rng, direction, kind=None):
    """Cuts after 0, 1, 2, ... messages, every other time inside of the next one, until a batch
    passes whole; how many cuts, and how many of them no client noticed."""
    cuts = unnoticed = 0
    for count in range(0, STEPS_MAX, STRIDES[direction]):
        await_service(stage, rng)
        events, refused = events_of(stage, rng, kind), stage.refused
        wire.arm(direction, count, is_torn=count % 2 == 1)
        with stage.world.connect() as conn:
            stage.send(conn, events)
        if not wire.disarm():
            return cuts, unnoticed
        cuts, unnoticed = cuts + 1, unnoticed + (stage.refused == refused)
    raise AssertionError("a batch of so many messages")


@pytest.mark.parametrize("direction", [TO_DATABASE, TO_CLIENT])
def test_a_cut_at_each_message_loses_and_doubles_nothing(own_cluster, tmp_path, direction):
    seed, started = torture.seed("cut"), time.monotonic()
    with torture.repeatable("postgres", seed), cut_stage(own_cluster, tmp_path) as (stage, wire):
        rng = random.Random(seed)
        counts = [cut_each_step(stage, wire, rng, direction, kind) for kind in KINDS]
        stage.settle()
        acknowledged = stage.judge()
        stage.votes_agree()
    cuts, unnoticed = map(sum, zip(*counts))
    torture.say(f"postgres: connection cut {cuts} times at each message {direction}, {unnoticed} "
                f"not noticed by any client, {acknowledged} events acknowledged, 0 lost, 0 doubled "
                f"({time.monotonic() - started:.0f} s, seed {seed})")
    assert unnoticed > 0
    is_lost = any(message.startswith(b"C") and b"COMMIT" in message for message in wire.dropped)
    assert is_lost or direction == TO_DATABASE, "no answer of a COMMIT was lost"
