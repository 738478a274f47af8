"""The N-th I/O operation or allocation of one request fails, for every N, once and for ever.

For each endpoint: arm, send, look at the answer, disarm, send the same again. An acknowledgement
stands once; what was refused, or not answered, stands once or not at all, and the retry says which;
the process lives and serves when the cause is gone. Only a failed sync ends it, with exit 1."""

import pytest
from endpoints import ENDPOINTS, Click, Conversion, Mint, Vote
from injection import (FILE_KINDS, FOR_EVER, MEMORY_KINDS, MORE_FILE_KINDS, SOCKET_KINDS,
                       SYNC_KINDS)
from stage import Stage, judge
from support import torture

POINTS_MAX = 400


def one_fault(stage, endpoint, kind, number, times, fresh):
    """One point. False when the request was over before its operation number `number`."""
    subject = endpoint.new()
    request = endpoint.request(subject)
    stage.faults.arm(kind, number, times)
    answer = stage.exchange(request, fresh)
    stage.faults.disarm()
    if not stage.faults.failed:
        assert answer is not None and endpoint.is_acknowledged(answer), answer
        endpoint.check_acknowledged(answer)
        return False
    stage.count.faults += 1
    ended = answer is None and stage.revive()
    judge(stage, endpoint, subject, answer, ended)
    return True


def every_fault(stage, endpoint, kind, fresh=False):
    for times in kind.times:
        for number in range(1, POINTS_MAX + 1):
            try:
                if not one_fault(stage, endpoint, kind, number, times, fresh):
                    break
            except AssertionError as error:
                often = "for ever from" if times == FOR_EVER else f"{times} time(s) at"
                raise AssertionError(f"{endpoint.name}: {kind.name} {often} operation {number} "
                                     f"({stage.faults.last}): {error}\n"
                                     f"{stage.world.server.stderr[-2000:]}") from error
        else:
            raise AssertionError(f"{endpoint.name}: {kind.name} has no end")


@pytest.fixture(scope="module")
def stage():
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture(scope="module", autouse=True)
def report(stage, violations):
    totals = {}
    yield totals
    count = stage.count
    kinds = ", ".join(f"{n} {what}" for what, n in totals.items())
    torture.say(f"faults: {len(ENDPOINTS)} endpoints, {kinds}; {count.refused} refused, "
                f"{count.unanswered} without answer, {count.restarts} restarts; "
                f"violations {violations()}")


GROUPS = {
    "I/O faults": FILE_KINDS + torture.size([], MORE_FILE_KINDS),
    "allocation faults": MEMORY_KINDS,
    "sync faults": SYNC_KINDS,
}


@pytest.mark.parametrize("make", ENDPOINTS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("group", GROUPS)
def test_one_request(stage, report, group, make):
    endpoint = make(stage.world)
    one_without_fault(stage, endpoint)
    done = stage.count.faults
    for kind in GROUPS[group]:
        every_fault(stage, endpoint, kind)
    stage.serves_again()
    assert stage.descriptors() <= stage.descriptors_max, "descriptors leak"
    report[group] = report.get(group, 0) + stage.count.faults - done


def one_without_fault(stage, endpoint):
    """The first request of its sort may allocate what stays."""
    answer = stage.exchange(endpoint.request(endpoint.new()))
    assert answer is not None and endpoint.is_acknowledged(answer), answer


# The socket's side is the same for all routes: one of each dialect and body.
OF_SOCKETS = torture.size([Conversion, Click, Vote, Mint], ENDPOINTS)


@pytest.mark.parametrize("make", OF_SOCKETS, ids=lambda make: make.__name__)
def test_one_connection(stage, report, make):
    """The same for the socket's side, on a connection of its own, its accept included."""
    endpoint = make(stage.world)
    done = stage.count.faults
    for kind in SOCKET_KINDS:
        every_fault(stage, endpoint, kind, fresh=True)
    stage.serves_again()
    assert stage.descriptors() <= stage.descriptors_max, "descriptors leak"
    report["socket faults"] = report.get("socket faults", 0) + stage.count.faults - done
