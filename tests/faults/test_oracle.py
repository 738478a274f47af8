"""The judges of these tests see what they are for: each verdict is provoked once."""

import os
import signal

import pytest
from endpoints import AdFeedback, Collect, Conversion, Vote
from injection import FILE_KINDS, FOR_EVER, LIBRARY, Kind, require
from stage import Stage, judge


@pytest.fixture
def stage():
    stage = Stage()
    yield stage
    stage.close()


def sent(stage, endpoint):
    subject = endpoint.new()
    return subject, stage.exchange(endpoint.request(subject))


def test_an_acknowledgement_without_a_row_is_seen(stage):
    for make in (Conversion, Collect, AdFeedback, Vote):
        endpoint = make(stage.world)
        _, answer = sent(stage, endpoint)
        with pytest.raises(AssertionError, match="acknowledged, and 0 rows stand"):
            judge(stage, endpoint, endpoint.new(), answer, ended=False)


def test_a_refusal_that_stands_is_seen(stage):
    endpoint = Collect(stage.world)
    stage.faults.arm(FILE_KINDS[0], 1, FOR_EVER)
    _, refused = sent(stage, endpoint)
    stage.faults.disarm()
    subject, _ = sent(stage, endpoint)
    with pytest.raises(AssertionError, match="refused, and 1 rows stand"):
        judge(stage, endpoint, subject, refused, ended=False)


def test_a_refusal_of_another_dialect_is_seen(stage):
    endpoint, other = Collect(stage.world), Vote(stage.world)
    stage.faults.arm(FILE_KINDS[0], 1, FOR_EVER)
    _, refused = sent(stage, endpoint)
    stage.faults.disarm()
    with pytest.raises(AssertionError):
        judge(stage, other, other.new(), refused, ended=False)


def test_a_retry_that_counts_again_is_seen(stage):
    """The receipt of one event for another: the retry does not say the same."""
    endpoint = Collect(stage.world)
    subject, answer = sent(stage, endpoint)
    _, other = sent(stage, endpoint)
    judge(stage, endpoint, subject, answer, ended=False)
    with pytest.raises(AssertionError):
        judge(stage, endpoint, subject, other, ended=False)


def test_a_crash_is_no_deliberate_end(stage):
    stage.world.server.signal(signal.SIGSEGV)
    stage.world.server.wait()
    with pytest.raises(AssertionError, match="exit -11"):
        stage.revive()


def test_a_leak_of_descriptors_is_seen(stage):
    before = stage.descriptors()
    with stage.world.connect(), stage.world.connect():
        assert stage.descriptors() == before + 2


def test_faults_are_counted_and_chosen_by_number(stage):
    endpoint, writes = Collect(stage.world), Kind("EIO", 5, "pwrite")
    stage.faults.arm(writes, 0)
    assert sent(stage, endpoint)[1].status == 204
    seen = stage.faults.seen
    assert seen > 1 and stage.faults.failed == 0
    for first, times, failed in ((1, 1, 1), (seen, 1, 1), (seen + 1, 1, 0)):
        stage.faults.arm(writes, first, times)
        assert sent(stage, endpoint)[1].status == (503 if failed else 204)
        assert stage.faults.failed == failed
        stage.faults.disarm()
    assert not failed or stage.faults.last == "pwrite"


def test_a_server_that_is_not_told_of_faults_has_none():
    require()
    assert os.system(f"LD_PRELOAD={LIBRARY} true") == 0
