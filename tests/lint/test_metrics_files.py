"""etc/alerts.yml and etc/grafana-dashboard.json: well formed, and about metrics that there are."""

import importlib.util
import json
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALERTS = ROOT / "etc" / "alerts.yml"
DASHBOARD = ROOT / "etc" / "grafana-dashboard.json"


def metrics():
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", (ROOT / "docs" / "metrics.md").read_text(), re.M)
    names = {name for name, kind in rows if kind != "histogram"}
    for name, kind in rows:
        if kind == "histogram":
            names |= {f"{name}_{end}" for end in ("bucket", "sum", "count")}
    return names


def unknown(text):
    return set(re.findall(r"\b(?:adtally|process)_[a-z_]+", text)) - metrics()


def promtool(path):
    if not shutil.which("promtool"):
        pytest.skip("no promtool here")
    return subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True,
                          check=False)


def test_promtool_takes_the_rules():
    done = promtool(ALERTS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_would_refuse_a_broken_rule(tmp_path):
    broken = tmp_path / "alerts.yml"
    broken.write_text(ALERTS.read_text().replace("== 0", "=== 0"))
    assert promtool(broken).returncode != 0


@pytest.mark.parametrize("path", [ALERTS, DASHBOARD], ids=lambda path: path.name)
def test_only_metrics_that_there_are(path):
    assert unknown(path.read_text()) == set()


def test_a_metric_that_there_is_not_would_be_found():
    assert unknown("rate(adtally_no_such_total[5m])") == {"adtally_no_such_total"}


def test_the_dashboard_is_what_its_rows_make():
    spec = importlib.util.spec_from_file_location("grafana", ROOT / "tools" / "grafana.py")
    grafana = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(grafana)
    assert DASHBOARD.read_text() == grafana.text()
    ids = [panel["id"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    assert len(ids) == len(set(ids)) > 5
