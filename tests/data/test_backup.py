"""`adtally backup` beside a running server, `adtally restore` of what it made."""

import itertools
import os
import pathlib
import random
import shutil
import subprocess
import threading
import time

import pytest
from events import is_verified, people, results, serve
from support import server as program
from support.publisher import vote
from support.world import is_duplicate, is_recorded


def backup(world, file, expect=0):
    return program.cli("backup", file, "--data", world.data, expect=expect)


def restore(file, data, expect=0):
    return program.cli("restore", file, "--data", data, expect=expect)


def test_what_was_acknowledged_before_is_a_duplicate_after(world, scratch):
    somebody, _ = people(world, 3)
    before = results(world, somebody[0].ad)
    late = world.mint(user_id="late")
    backup(world, scratch / "backup")
    restore(scratch / "backup", scratch / "data")
    is_verified(scratch / "data")
    with serve(world, scratch / "data") as restored:
        for person in somebody:
            person.is_remembered(restored)
        assert results(restored, somebody[0].ad) == before
        assert restored.follow(late["url"]).status == 302  # the token keys came along
    is_verified(scratch / "data")


def test_the_oracle_notices_what_is_not_in_the_backup(world, scratch):
    backup(world, scratch / "backup")
    click_id = world.click()
    receipt = is_recorded(world.convert(click_id, idem="late"))
    restore(scratch / "backup", scratch / "data")
    with serve(world, scratch / "data") as restored, pytest.raises(AssertionError):
        is_duplicate(restored.convert(click_id, idem="late"), of=receipt)


def test_a_backup_beside_a_load_holds_all_that_was_acknowledged_before(world, scratch):
    click_id, stop, acknowledged = world.click(), threading.Event(), []

    def load():
        for number in itertools.count():
            if stop.is_set():
                return
            acknowledged.append((number, is_recorded(world.convert(click_id, idem=f"{number}"))))

    writer = threading.Thread(target=load)
    writer.start()
    made = []
    for number in range(5):
        time.sleep(0.2)
        made.append((scratch / f"backup{number}", list(acknowledged)))
        backup(world, made[-1][0])
    stop.set()
    writer.join()
    for file, before in made:
        data = file.with_suffix(".data")
        restore(file, data)
        is_verified(data)
        with serve(world, data) as restored:
            for number, receipt in random.sample(before, min(20, len(before))):
                is_duplicate(restored.convert(click_id, idem=f"{number}"), of=receipt)


def test_a_backup_is_one_file_for_its_owner_alone(world, scratch):
    backup(world, scratch / "backup")
    assert [p.name for p in scratch.iterdir()] == ["backup"]
    assert (scratch / "backup").stat().st_mode & 0o777 == 0o600


def test_no_file_is_overwritten_and_no_data(world, scratch):
    backup(world, scratch / "backup")
    whole = (scratch / "backup").read_bytes()
    backup(world, scratch / "backup", expect=1)
    assert (scratch / "backup").read_bytes() == whole
    backup(world, world.data / "adtally.db", expect=1)
    restore(scratch / "backup", world.data, expect=1)
    (scratch / "other").mkdir()
    (scratch / "other" / "letter.txt").write_text("mine")
    restore(scratch / "backup", scratch / "other", expect=1)
    (scratch / "rest").mkdir()
    shutil.copy(world.data / "adtally.db-wal", scratch / "rest" / "adtally.db-wal")
    restore(scratch / "backup", scratch / "rest", expect=1)
    assert world.server.alive()
    is_verified(world.data)


def test_a_damaged_backup_is_refused_and_leaves_nothing(world, scratch):
    somebody, _ = people(world, 1)
    backup(world, scratch / "backup")
    whole = (scratch / "backup").read_bytes()
    at = whole.index(somebody[0].click_id.encode())
    damaged = {"changed": whole[:at] + b"X" + whole[at + 1:], "cut": whole[: len(whole) // 2],
               "empty": b"", "foreign": b"no database at all" * 999}
    for name, text in damaged.items():
        (scratch / name).write_bytes(text)
        restore(scratch / name, scratch / "data", expect=1)
        assert not (scratch / "data" / "adtally.db").exists(), name
    restore(scratch / "backup", scratch / "data")


def test_a_restore_that_is_killed_is_done_again(world, scratch):
    people(world, 2)
    backup(world, scratch / "backup")
    began = time.monotonic()
    restore(scratch / "backup", scratch / "whole")
    whole_s = time.monotonic() - began
    killed = 0
    for number in range(100):
        data = scratch / f"data{number}"
        command = [program.BINARY, "restore", str(scratch / "backup"), "--data", str(data)]
        proc = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0, whole_s))
        proc.kill()
        killed += proc.wait() != 0
        if not (data / "adtally.db").exists():
            restore(scratch / "backup", data)
        is_verified(data)
        if killed == 6:
            break
    assert killed, "no restore was cut off"


def test_a_killed_backup_leaves_the_server_and_no_file_of_its_name(world, scratch):
    people(world, 2)
    for number in range(12):
        file = scratch / f"backup{number}"
        proc = subprocess.Popen([program.BINARY, "backup", str(file), "--data", str(world.data)],
                                stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0, 0.03))
        proc.kill()
        proc.wait()
        if file.exists():
            restore(file, scratch / f"data{number}")
    backup(world, scratch / "backup0.again")
    assert world.server.alive() and pathlib.Path(world.data).exists()
    is_recorded(world.convert(world.click()))
    assert os.access(scratch / "backup0.again", os.R_OK)


def test_a_restored_poll_takes_no_second_vote(world, scratch):
    somebody, _ = people(world, 1)
    backup(world, scratch / "backup")
    restore(scratch / "backup", scratch / "data")
    with serve(world, scratch / "data") as restored:
        assert vote(restored, somebody[0].ad, "1").status == 409
