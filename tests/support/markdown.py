"""Fenced blocks of the documents, and what a reader who pastes them sees.

A block `sh` is pasted; a block `json` or `text` right below it is what it prints, where `...`
stands for anything. A block `console` only shows something.
"""

import re
import subprocess

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
MARK = "--- adtally block {} ---"
OUTPUTS = ("json", "text")


def blocks(text, *languages):
    """(language, content) of the fenced blocks in these languages."""
    return [(m[1], m[2]) for m in FENCE.finditer(text) if m[1] in languages]


def sessions(text):
    """(command, expected output or None) for each block that is pasted."""
    found = [(m[1], m[2], m.start(), m.end()) for m in FENCE.finditer(text)]
    out = []
    for at, (language, content, _, end) in enumerate(found):
        if language != "sh":
            continue
        below = found[at + 1] if at + 1 < len(found) else None
        is_output = below and below[0] in OUTPUTS and not text[end:below[2]].strip()
        out.append((content, below[1] if is_output else None))
    return out


def matches(expected, printed):
    """Line for line, but for what `...` stands for."""
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("..."))
    return re.fullmatch(pattern, printed.strip(), re.S) is not None


def paste(commands, replace, environment):
    """Runs the commands one after another in one shell; what each printed on standard output."""
    script = ""
    for number, command in enumerate(commands):
        for old, new in replace.items():
            command = command.replace(old, new)
        script += f"echo '{MARK.format(number)}'\n{command}\necho\n"
    done = subprocess.run(["bash", "-u"], input=script, capture_output=True, text=True, timeout=120,
                          env=environment, check=False)
    assert done.returncode == 0, done.stderr
    printed = done.stdout
    out = []
    for number in range(len(commands)):
        rest = printed.split(MARK.format(number) + "\n", 1)[1]
        out.append(rest.split(MARK.format(number + 1) + "\n", 1)[0])
    return out
