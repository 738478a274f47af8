"""Runs the vendor pages' curl lines as a reader would paste them."""

import subprocess


def sh(command, **environment):
    """Runs a line that begins with curl in a shell; status and body of the answer."""
    command += " -sS --max-time 20 -w '\\n%{http_code}'"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30,
                          env={"PATH": "/usr/bin:/bin", **environment})
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body
