"""grafana.py: writes etc/grafana-dashboard.json, a panel a row of PANELS."""

import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
WIDTH, HEIGHT = 12, 8


def quantile(share, metric, by=""):
    return (f"histogram_quantile({share}, sum by (le{by}) "
            f"(rate({metric}_bucket[$__rate_interval])))")


# title, unit of Grafana, (expression, legend)...
PANELS = (
    ("Requests by route", "reqps",
     ("sum by (route) (rate(adtally_requests_total[$__rate_interval]))", "{{route}}")),
    ("Outcomes", "reqps",
     ("sum by (outcome) (rate(adtally_requests_total[$__rate_interval]))", "{{outcome}}")),
    ("Latency, 99 % by route", "s",
     (quantile(0.99, "adtally_request_duration_seconds", ", route"), "{{route}}")),
    ("Commit", "s",
     (quantile(0.5, "adtally_commit_duration_seconds"), "half"),
     (quantile(0.99, "adtally_commit_duration_seconds"), "99 %")),
    ("Operations a batch", "short",
     ("rate(adtally_batch_size_sum[$__rate_interval])"
      " / rate(adtally_batch_size_count[$__rate_interval])", "mean")),
    ("Queue", "short",
     ("adtally_queue_length", "waiting"),
     ("rate(adtally_queue_refused_total[$__rate_interval])", "refused a second")),
    ("Connections", "short", ("adtally_connections", "open")),
    ("Memory and WAL", "bytes",
     ("process_resident_memory_bytes", "resident"), ("adtally_index_bytes", "indexes"),
     ("adtally_wal_bytes", "WAL")),
    ("Processor", "percentunit", ("rate(process_cpu_seconds_total[$__rate_interval])", "cores")),
    ("Sinks: behind", "s", ("adtally_sink_lag_seconds", "{{sink}}")),
    ("Sinks: sent", "reqps",
     ("rate(adtally_sink_sent_total[$__rate_interval])", "{{sink}}"),
     ("rate(adtally_sink_failed_total[$__rate_interval])", "{{sink}} failed")),
    ("Refused before a route", "reqps",
     ("sum by (reason) (rate(adtally_http_refused_total[$__rate_interval]))", "{{reason}}")),
)


def panel(number, title, unit, *targets):
    return {
        "id": number + 1, "type": "timeseries", "title": title,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "gridPos": {"x": number % 2 * WIDTH, "y": number // 2 * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [{"refId": chr(ord("A") + i), "expr": expression, "legendFormat": legend}
                    for i, (expression, legend) in enumerate(targets)],
    }


def dashboard():
    return {
        "title": "adtally", "uid": "adtally", "schemaVersion": 38, "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus",
                                 "label": "Prometheus"}]},
        "panels": [panel(i, *row) for i, row in enumerate(PANELS)],
    }


def text():
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    (ROOT / "etc" / "grafana-dashboard.json").write_text(text())
