"""The oracle of the crash tests. It lives outside the server and survives its crashes: it logs
each request before it is sent and each answer as it comes, and says afterwards, from that log
alone, what the database must and must not hold. A key says what the event is, contents included.

    lost      acknowledged, but not there
    doubled   there more than once
    phantom   there, but never sent, or with other contents than were sent
"""

import json
import threading


class Oracle:
    """A log of lines: {"sent": [key, ...]} and {"answered": [[key, status, receipt], ...]}."""

    def __init__(self, path):
        self.path = path
        self.file = open(path, "a", encoding="utf-8")
        self.lock = threading.Lock()
        self.sent, self.answers = set(), {}  # what was read of the log
        self.open = {}  # the keys without an answer, in the order of their sending
        self.read_until = 0

    def write(self, **line):
        with self.lock:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()

    def sending(self, *keys):
        self.write(sent=keys)

    def answered(self, *answers):
        """Each is (key, status, receipt)."""
        self.write(answered=answers)

    def close(self):
        self.file.close()

    def read(self):
        """What the log says: the keys sent, and the answers by key in their order."""
        with open(self.path, encoding="utf-8") as file:
            file.seek(self.read_until)
            for line in map(json.loads, iter(file.readline, "")):
                for key in line.get("sent", ()):
                    self.sent.add(key)
                    if key not in self.answers:
                        self.open[key] = True
                for key, status, receipt in line.get("answered", ()):
                    assert key in self.sent, "an answer before its request"
                    self.answers.setdefault(key, []).append((status, receipt))
                    self.open.pop(key, None)
            self.read_until = file.tell()
        return self.sent, self.answers

    def unanswered(self):
        """In the order of their sending."""
        self.read()
        return list(self.open)

    def judge(self, stored):
        """Compares with the rows of the database, as (key, receipt) pairs; a dict of the sets that
        must be empty."""
        sent, answers = self.read()
        receipts = {k: {r for _, r in found} for k, found in answers.items()}
        rows, owners = {}, {}
        for key, receipt in stored:
            rows.setdefault(key, []).append(receipt)
        for key, found in receipts.items():
            for receipt in found:
                owners.setdefault(receipt, set()).add(key)
        return {
            "lost": set(answers) - set(rows),
            "doubled": {k for k, found in rows.items() if len(found) > 1},
            "phantom": set(rows) - sent,
            "counted twice": {k for k, found in answers.items()
                              if [s for s, _ in found].count("ok") > 1},
            "of two receipts": {k for k, found in receipts.items() if len(found) > 1},
            "of a shared receipt": {r for r, keys in owners.items() if len(keys) > 1},
            "of another row": {k for k, found in receipts.items()
                               if k in rows and not found <= set(rows[k])},
        }
