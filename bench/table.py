"""What is printed: figures as rows of one table, and targets beside figures."""

COLUMNS = (("requests/s", "rate", lambda value: f"{value:,.0f}"),
           ("CPU us", "cpu_us", lambda value: f"{value:.1f}"),
           ("p50 ms", "p50_us", lambda value: f"{value / 1e3:.2f}"),
           ("p99 ms", "p99_us", lambda value: f"{value / 1e3:.2f}"),
           ("p99.9 ms", "p999_us", lambda value: f"{value / 1e3:.2f}"),
           ("bytes/event", "bytes_each", lambda value: f"{value:,.0f}"),
           ("memory MB", "memory", lambda value: f"{value / 1e6:,.0f}"))


class Table:
    def __init__(self):
        self.targets = []

    def head(self):
        print("| workload | keys | conns | system | "
              + " | ".join(name for name, _, _ in COLUMNS) + " |")
        print("| --- | --- | --: | --- |" + " --: |" * len(COLUMNS), flush=True)

    def rows(self, workload, keys, connections, results):
        for system, result in results.items():
            cells = " | ".join(write(result[field]) for _, field, write in COLUMNS)
            print(f"| {workload} | {scale(keys)} | {connections} | {system} | {cells} |",
                  flush=True)

    def target(self, name, figure, limit, unit="", at_least=False):
        """A figure and its limit: at most so much, or at least."""
        self.targets.append((name, figure, limit, unit, at_least))

    def print_targets(self):
        print("\n| target | limit | figure | |\n| --- | --: | --: | --- |")
        for name, figure, limit, unit, at_least in self.targets:
            is_met = figure >= limit if at_least else figure <= limit
            sign = ">=" if at_least else "<="
            print(f"| {name} | {sign} {digits(limit)}{unit} | {digits(figure)}{unit} "
                  f"| {'met' if is_met else 'MISSED'} |")


def digits(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def scale(count):
    return f"{count // 1_000_000} M" if count >= 1_000_000 else f"{count:,}"


def count_of(text):
    """50M, 250k or 1000 as a number."""
    factors = {"k": 1000, "M": 1_000_000}
    return int(text[:-1]) * factors[text[-1]] if text[-1:] in factors else int(text)
