"""Usage: prometheus.py REPOSITORY PROGRAMS DIRECTORY LISTEN AGENT AGGREGATOR

Compares docs/metrics.md with what the programs export, and runs the queries of rules and dashboard on a Prometheus that scrapes them.
"""

import json
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import yaml

repository, programs, scratch = (pathlib.Path(argument) for argument in sys.argv[1:4])
own, agent, aggregator = sys.argv[4:]
MONITORING = repository / "deploy/components/monitoring"
DEADLINE = time.monotonic() + 60
# Its one series is that of a listener with TLS.
WITHOUT_SERIES = ("coroner_certificate_expire_timestamp_seconds",)


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def exported(address):
    """Metrics by name as they are asked for, with their types; none from a program that does not listen yet."""
    try:
        text = get(f"http://{address}/metrics")
    except OSError:
        return {}
    types = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M)
    suffixes = {"counter": "_total", "info": "_info"}
    return {name + suffixes.get(kind, ""): kind for name, kind in types}


def documented(section):
    text = (repository / "docs/metrics.md").read_text()
    rows = re.search(rf"^## {section}\n(.*?)^## ", text, re.M | re.S).group(1)
    found = {}
    for names, kind in re.findall(r"^\| (`.*?`) \| (\w+) \|", rows, re.M):
        for name in re.findall(r"`(\w+)", names):
            found[name] = kind
    return found


def compare():
    """Some series are there only once their task has run for the first time."""
    both = documented("Of both programs")
    for address, section in ((agent, "Of the agent"), (aggregator, "Of the aggregator")):
        known = both | documented(section)
        known = {name: kind for name, kind in known.items() if name not in WITHOUT_SERIES}
        while differing := known.items() ^ exported(address).items():
            assert time.monotonic() < DEADLINE, f"{section}: exported and documented differ: {sorted(differing)}"
            time.sleep(0.1)


def query(expression):
    expression = expression.replace("$__rate_interval", "10s").replace("$__range", "1m")
    answer = json.loads(get(f"http://{own}/api/v1/query?" + urllib.parse.urlencode({"query": expression})))
    assert answer["status"] == "success", f"{expression}: {answer}"
    return answer["data"]["result"]


def wait_for(what, condition):
    while not condition():
        assert time.monotonic() < DEADLINE, f"{what}: not in time"
        time.sleep(0.1)


def answered(expression):
    try:
        return query(expression)
    except OSError:
        return []


def main():
    compare()
    rules = yaml.safe_load((MONITORING / "rules.yaml").read_text())["spec"]
    (scratch / "rules.yaml").write_text(yaml.dump(rules))
    subprocess.run([programs / "promtool", "check", "rules", scratch / "rules.yaml"], check=True, stdout=subprocess.DEVNULL)
    (scratch / "prometheus.yaml").write_text(json.dumps({
        "global": {"scrape_interval": "500ms", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": "coroner", "static_configs": [
            {"targets": [agent], "labels": {"pod": "agent"}}, {"targets": [aggregator], "labels": {"pod": "aggregator"}}]}],
    }))
    with open(scratch / "log", "w") as log:
        prometheus = subprocess.Popen([
            programs / "prometheus", f"--config.file={scratch}/prometheus.yaml", f"--storage.tsdb.path={scratch}/data",
            f"--web.listen-address={own}"], stderr=log)
    try:
        wait_for("both are scraped twice", lambda: len(answered("count_over_time(coroner_build_info[1m]) > 2")) == 2)
        # What the aggregator reads of its parts, it reads every five seconds.
        wait_for("the aggregator has read its parts", lambda: answered("coroner_memory_bytes > 0"))
        known = set(json.loads(get(f"http://{own}/api/v1/label/__name__/values"))["data"]) | set(WITHOUT_SERIES)
        expressions = [(rule["alert"], rule["expr"], True) for group in rules["groups"] for rule in group["rules"]]
        dashboard = json.loads((MONITORING / "dashboard.json").read_text())
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                # What compares may find nothing.
                compares = re.search(r"[<>]=?|==", target["expr"]) is not None
                expressions.append((panel["title"], target["expr"], compares))
        for title, expression, may_be_empty in expressions:
            for name in re.findall(r"coroner_\w+", expression):
                assert name in known, f"{title}: nothing is exported as {name}"
            result = query(expression)
            assert result or may_be_empty or any(name in expression for name in WITHOUT_SERIES), f"{title}: {expression} finds nothing"
        states = json.loads(get(f"http://{own}/api/v1/rules"))["data"]["groups"]
        unhealthy = [rule for group in states for rule in group["rules"] if rule["health"] == "err"]
        assert not unhealthy, unhealthy
        print(f"{len(expressions)} queries")
    finally:
        prometheus.kill()
        prometheus.wait()


main()
