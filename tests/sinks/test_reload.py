"""SIGHUP: sinks are as the file says now, and go on where they were; a bad file changes nothing."""

import signal

import pytest

from base import collect_many, is_complete, wait_for
from support.receiver import Receiver


@pytest.fixture
def other():
    made = Receiver()
    yield made
    made.close()


def reload(sinks, **sections):
    sinks.write(**sections)
    sinks.proc.send_signal(signal.SIGHUP)


def to(receiver, **options):
    return {"type": "http", "url": receiver.url, "timeout": "1s", **options}


def started(sinks, times):
    wait_for(lambda: len(sinks.log("sinks_started")) == times, why=lambda: sinks.stderr)


def test_a_reload_goes_on_where_it_was(world, sinks, receiver, other):
    sinks.write(lake=to(receiver)).start()
    collect_many(world, 50)
    wait_for(lambda: sinks.is_idle("lake"))
    reload(sinks, lake=to(other))
    started(sinks, 2)
    collect_many(world, 50)
    wait_for(lambda: sinks.is_idle("lake"))
    assert len(receiver.rows) == len(other.rows) == 50
    is_complete(world.data, receiver.rows + other.rows)


def test_sinks_come_and_go(world, sinks, receiver, other):
    sinks.write(one=to(receiver)).start()
    collect_many(world, 20)
    wait_for(lambda: sinks.is_idle("one"))
    reload(sinks, two=to(other))
    wait_for(lambda: sinks.is_idle("two"), why=lambda: sinks.stderr)
    assert sinks.status("one") is None
    collect_many(world, 20)
    wait_for(lambda: len(other.rows) == 40)
    is_complete(world.data, other.rows)
    assert len(receiver.rows) == 20
    sinks.stop()


@pytest.mark.parametrize("sections", [{"lake": {"type": "pigeon"}}, {}], ids=["bad", "empty"])
def test_a_bad_file_changes_nothing(world, sinks, receiver, sections):
    sinks.write(lake=to(receiver)).start()
    started(sinks, 1)
    reload(sinks, **sections)
    wait_for(lambda: sinks.log("reload_failed"), why=lambda: sinks.stderr)
    collect_many(world, 20)
    wait_for(lambda: len(receiver.rows) == 20)
    assert len(sinks.log("sinks_started")) == 1
    sinks.stop()


def test_a_reload_while_events_come_loses_nothing(world, sinks, receiver):
    sinks.write(lake=to(receiver, batch=7)).start()
    started(sinks, 1)
    for times in range(2, 6):
        collect_many(world, 60)
        reload(sinks, lake=to(receiver, batch=7 * times))
        started(sinks, times)
    wait_for(lambda: sinks.is_idle("lake"), why=lambda: sinks.stderr)
    is_complete(world.data, receiver.rows)
