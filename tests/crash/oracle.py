"""The oracle of the crash tests. It lives outside the server and survives its crashes: it logs
each request before it is sent and each answer as it comes, and says afterwards, from that log
alone, what the database must and must not hold.

    lost      acknowledged, but not there
    doubled   there more than once
    phantom   there, but never sent
"""

import json
import threading


class Oracle:
    """A log of lines: {"sent": key} and {"answered": key, "status": ..., "receipt": ...}."""

    def __init__(self, path):
        self.path = path
        self.file = open(path, "a", encoding="utf-8", buffering=1)
        self.lock = threading.Lock()

    def write(self, **line):
        with self.lock:
            self.file.write(json.dumps(line) + "\n")

    def sending(self, key):
        self.write(sent=key)

    def answered(self, key, status, receipt):
        self.write(answered=key, status=status, receipt=receipt)

    def close(self):
        self.file.close()

    def read(self):
        """What the log says: the keys sent, and the answers by key in their order."""
        sent, answers = set(), {}
        with open(self.path, encoding="utf-8") as file:
            for line in map(json.loads, file):
                if "sent" in line:
                    sent.add(line["sent"])
                else:
                    assert line["answered"] in sent, "an answer before its request"
                    answers.setdefault(line["answered"], []).append(
                        (line["status"], line["receipt"]))
        return sent, answers

    def unanswered(self):
        sent, answers = self.read()
        return sorted(sent - set(answers))

    def judge(self, stored):
        """Compares with the keys in the database; a dict of the sets that must be empty."""
        sent, answers = self.read()
        receipts = {k: {r for _, r in found} for k, found in answers.items()}
        owners = {}
        for key, found in receipts.items():
            for receipt in found:
                owners.setdefault(receipt, set()).add(key)
        return {
            "lost": set(answers) - set(stored),
            "doubled": {k for k in stored if stored.count(k) > 1} if len(set(stored)) < len(stored)
            else set(),
            "phantom": set(stored) - sent,
            "counted twice": {k for k, found in answers.items()
                              if [s for s, _ in found].count("ok") > 1},
            "of two receipts": {k for k, found in receipts.items() if len(found) > 1},
            "of a shared receipt": {r for r, keys in owners.items() if len(keys) > 1},
        }
