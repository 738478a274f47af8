"""The checksum of a row as docs/schema.md says it, computed by somebody else than the program."""

MULTIPLIER, MASK = 0xC6A4A7935BD1E995, (1 << 64) - 1


def murmur64a(data, seed):
    value = seed ^ (len(data) * MULTIPLIER & MASK)
    whole = len(data) // 8 * 8
    for at in range(0, whole, 8):
        word = int.from_bytes(data[at : at + 8], "little") * MULTIPLIER & MASK
        word = (word ^ word >> 47) * MULTIPLIER & MASK
        value = (value ^ word) * MULTIPLIER & MASK
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * MULTIPLIER & MASK
    value = (value ^ value >> 47) * MULTIPLIER & MASK
    return value ^ value >> 47


def encode(value):
    if value is None:
        return 0, b""
    if isinstance(value, int):
        return 1, value.to_bytes(8, "little", signed=True)
    return (2, value.encode()) if isinstance(value, str) else (3, value)


def checksum(table, values):
    value = 0
    for part in (table, *values):
        kind, data = encode(part)
        value = murmur64a(data, value + kind & MASK)
    return value - (1 << 64) if value >> 63 else value
