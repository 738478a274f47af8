"""Where more cores would saturate: a model of the server, not a measurement.

    bench/scaling.py --loop-us L --op-us O --batch-us B --sync-us S

`./dev bench --loops` measures the four and prints them as options. What is modelled: every core has
a loop, which spends L on each request, half before the ledger and half after. The one ledger thread
takes all that wait, up to 1024, as a batch: B + O for each of them on the processor, then S for the
disk. Its processor time is the loops' loss. A fixed number of clients send their next request when
they have their answer, from another machine.
"""

import argparse
import collections
import heapq
import itertools

BATCH_MAX = 1024
CORES = (1, 2, 4, 8, 16, 32, 64)


class Model:
    """Events in order of their time, in microseconds; what a core does is a queue of its own."""

    def __init__(self, cores, clients, loop_us, op_us, batch_us, sync_us):
        self.cores, self.clients = cores, clients
        self.half_us, self.op_us = loop_us / 2, op_us
        self.batch_us, self.sync_us = batch_us, sync_us
        self.free_at = [0.0] * cores
        self.waiting, self.events = collections.deque(), []
        self.numbers = itertools.count()  # of events, for those of one moment
        self.is_committing = False
        self.ledger_busy_us = self.ledger_cpu_us = 0.0

    def run(self, requests):
        """Requests/s, latencies in order, and what part of the time loops and ledger are busy."""
        latencies, loops_us = [], 0.0
        for client in range(self.clients):
            self.push(0.0, self.arrive, (client, 0.0))
        now = 0.0
        while len(latencies) < requests:
            now, _, what, given = heapq.heappop(self.events)
            latency = what(now, given)
            if latency is not None:
                latencies.append(latency)
                loops_us += 2 * self.half_us
        return {"rate": len(latencies) / now * 1e6, "latencies": sorted(latencies),
                "loops": loops_us / (now * self.cores),
                "ledger": min(1.0, self.ledger_busy_us / now)}

    def push(self, at, what, given):
        heapq.heappush(self.events, (at, next(self.numbers), what, given))

    def on_core(self, now, client):
        """When a client's core has done half of its work for a request. The ledger's processor time
        is taken from all cores alike."""
        core = client % self.cores
        share = min(0.9, self.ledger_cpu_us / max(now, 1.0) / self.cores)
        self.free_at[core] = max(now, self.free_at[core]) + self.half_us / (1 - share)
        return self.free_at[core]

    def arrive(self, now, request):
        self.push(self.on_core(now, request[0]), self.submit, request)

    def submit(self, now, request):
        self.waiting.append(request)
        self.commit(now)

    def commit(self, now):
        if self.is_committing or not self.waiting:
            return
        batch = [self.waiting.popleft() for _ in range(min(BATCH_MAX, len(self.waiting)))]
        cpu_us = self.batch_us + self.op_us * len(batch)
        self.ledger_cpu_us += cpu_us
        self.ledger_busy_us += cpu_us + self.sync_us
        self.is_committing = True
        self.push(now + cpu_us + self.sync_us, self.committed, batch)

    def committed(self, now, batch):
        self.is_committing = False
        for request in batch:
            self.push(self.on_core(now, request[0]), self.answered, request)
        self.commit(now)

    def answered(self, now, request):
        client, sent = request
        self.push(now, self.arrive, (client, now))
        return now - sent


def ledger_us(op_us, batch_us, sync_us):
    """What an event costs the ledger's thread at best: in a full batch."""
    return op_us + (batch_us + sync_us) / BATCH_MAX


def bound(cores, loop_us, op_us, batch_us, sync_us):
    """Requests/s that no number of clients can pass: the cores, or the one ledger thread."""
    cpu_us = loop_us + ledger_us(op_us, batch_us, 0)
    return 1e6 / max(cpu_us / cores, ledger_us(op_us, batch_us, sync_us))


def at(latencies, part):
    return latencies[int(part * (len(latencies) - 1))]


def saturation(loop_us, op_us, batch_us, sync_us):
    """From how many cores on the ledger's thread is the limit."""
    cpu_us = loop_us + ledger_us(op_us, batch_us, 0)
    return cpu_us / ledger_us(op_us, batch_us, sync_us)


def parse():
    options = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    for name in ("loop-us", "op-us", "batch-us", "sync-us"):
        options.add_argument(f"--{name}", type=float, required=True)
    options.add_argument("--clients", type=int, default=2048)
    options.add_argument("--requests", type=int, default=100_000)
    return options.parse_args()


def main():
    given = parse()
    costs = (given.loop_us, given.op_us, given.batch_us, given.sync_us)
    print(f"| cores | requests/s | limit | p50 ms | p99 ms | loops busy | ledger busy |\n"
          f"|{' --: |' * 7}")
    for cores in CORES:
        found = Model(cores, given.clients, *costs).run(given.requests)
        p50, p99 = (at(found["latencies"], part) / 1e3 for part in (0.5, 0.99))
        limit = bound(cores, *costs)
        print(f"| {cores} | {found['rate']:,.0f} | {limit:,.0f} | {p50:.2f} | {p99:.2f} "
              f"| {found['loops']:.0%} | {found['ledger']:.0%} |")
    print(f"\nThe ledger's thread is the limit from {saturation(*costs):.1f} cores on: "
          f"{1e6 / ledger_us(*costs[1:]):,.0f} requests/s.")


if __name__ == "__main__":
    main()
