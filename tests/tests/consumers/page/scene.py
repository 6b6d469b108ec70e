"""Pushes the diagnoses of recorded cases into an aggregator, as if they had happened in a shop's cluster within the last month.

scene.py ADDRESS CASES PROTO [--alive]: ADDRESS is HOST:PORT without TLS, CASES a file with one diagnosis a line, as `coroner replay -o json` prints
them, PROTO the folder of the protocol. With --alive, the agents
report once more, all but one.
"""

import importlib.resources
import json
import random
import sys
import tempfile
import time
import uuid
import zlib

import grpc
from google.protobuf import json_format
from grpc_tools import protoc

# Where each recorded case happens in the scene: case, namespace, kind, workload, container, image, node, and when, in minutes ago.
SCENES = [
    (
        "oom-limit",
        "shop",
        "Deployment",
        "web",
        "web",
        "registry.example/shop/web:1.9",
        "worker-3",
        [4, 11, 19, 33, 52, 75, 140, 300, 640],
    ),
    (
        "oom-child",
        "shop",
        "Deployment",
        "checkout",
        "worker",
        "registry.example/shop/checkout:4.2",
        "worker-1",
        [38, 410],
    ),
    (
        "liveness-throttled",
        "shop",
        "Deployment",
        "search",
        "api",
        "registry.example/shop/search:0.14",
        "worker-2",
        [16, 95],
    ),
    ("crash-segv", "media", "StatefulSet", "encoder", "enc", "registry.example/media/enc:7.1", "worker-5", [27, 1150]),
    ("image-denied", "media", "Deployment", "thumbs", "thumbs", "registry.example/media/thumbs:2", "worker-4", [63]),
    ("evict-nodefs", "batch", "Job", "report-29412", "etl", "registry.example/batch/etl:3", "worker-4", [130]),
    ("rollout", "shop", "Deployment", "web", "web", "registry.example/shop/web:1.8", "worker-1", [205, 206, 207]),
    (
        "exit-1",
        "billing",
        "CronJob",
        "invoices",
        "run",
        "registry.example/billing/invoices:11",
        "worker-6",
        [243, 843, 1443],
    ),
    (
        "command-not-found",
        "tools",
        "Deployment",
        "debug-shell",
        "shell",
        "registry.example/tools/shell:1",
        "worker-6",
        [320],
    ),
    ("kill-external", "data", "StatefulSet", "kafka", "kafka", "registry.example/data/kafka:3.9", "worker-2", [505]),
    ("stuck-finalizer", "data", "StatefulSet", "postgres", "", "", "worker-5", [730]),
]
# Older ones of the same workload, by day, for its own page.
DAYS = [
    ("oom-limit", 2, 5),
    ("oom-limit", 3, 7),
    ("oom-limit", 5, 2),
    ("crash-segv", 6, 3),
    ("liveness-throttled", 9, 4),
    ("exit-1", 12, 1),
    ("oom-limit", 16, 1),
    ("rollout", 20, 3),
    ("exit-1", 25, 2),
]
MIB = 1 << 20


def protocol(folder):
    out = tempfile.mkdtemp()
    files = ["cause", "diagnosis", "node_report", "ingest_service", "diagnosis_service"]
    paths = [f"{folder}/coroner/v1/{name}.proto" for name in files]
    google = importlib.resources.files("grpc_tools") / "_proto"
    if protoc.main(["", f"-I{folder}", f"-I{google}", f"--python_out={out}", f"--grpc_python_out={out}", *paths]) != 0:
        sys.exit("the protocol cannot be compiled")
    sys.path.insert(0, out)


def renamed(value, names):
    """The same with other names, wherever one of these stands alone as a value or within backquotes of a text."""
    if isinstance(value, dict):
        return {key: renamed(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [renamed(inner, names) for inner in value]
    if isinstance(value, str):
        if value in names:
            return names[value]
        for old, new in names.items():
            if len(old) > 3:
                value = value.replace(old, new)
            elif old:
                for before, after in [
                    ("container ", " "),
                    ("container ", ","),
                    ("container ", ":"),
                    ("-c ", ""),
                    ("containers ", " "),
                    ("pod ", " "),
                    ("pod ", ""),
                    ("logs ", " "),
                ]:
                    if after:
                        value = value.replace(f"{before}{old}{after}", f"{before}{new}{after}")
                    elif value.endswith(f"{before}{old}"):
                        value = value[: -len(old)] + new
                value = value.replace(f"-c {old} ", f"-c {new} ")
        return value
    return value


def shifted(value, by):
    """The same with times moved by so many seconds."""
    import datetime

    if isinstance(value, dict):
        return {key: shifted(inner, by) for key, inner in value.items()}
    if isinstance(value, list):
        return [shifted(inner, by) for inner in value]
    if isinstance(value, str) and len(value) > 19 and value[4] == "-" and value[10] == "T" and value.endswith("Z"):
        whole, _, part = value[:-1].partition(".")
        moment = datetime.datetime.fromisoformat(whole) + datetime.timedelta(seconds=round(by))
        return moment.isoformat() + (f".{part}" if part else "") + "Z"
    return value


def seconds(text):
    import datetime

    return datetime.datetime.fromisoformat(text[:19] + "+00:00").timestamp()


def with_memory(diagnosis, at, draw):
    """With a history that leads to the limit, and with moments of every kind."""
    memory = diagnosis.get("memory")
    if not memory:
        return
    limit = int(memory.get("containerLimitBytes") or memory.get("limitBytes") or 512 * MIB)
    points, usage = [], limit * (0.42 + 0.1 * draw.random())
    for n in range(34):
        before = (34 - n) * 9
        usage = min(limit * 0.995, usage * (1 + 0.03 * draw.random()) + limit * draw.choice([0, 0, 0.008, 0.02]))
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at - before))
        points.append({"time": f"{stamp}Z", "usageBytes": str(int(usage))})
    memory["history"] = points
    memory["containerRequestBytes"], memory["containerHighBytes"] = str(limit // 2), str(limit * 9 // 10)
    stamp = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at - before)) for before in (250, 180, 130, 60, 50, 40)]
    memory["moments"] = [
        {"kind": "MOMENT_KIND_RESTART", "time": stamp[0]},
        {"kind": "MOMENT_KIND_CPU_THROTTLED", "time": stamp[1], "endTime": stamp[2]},
        *({"kind": "MOMENT_KIND_PROBE_FAILED", "time": stamp[n]} for n in (3, 4, 5)),
    ]


def diagnoses(cases, now):
    draw = random.Random(7)
    plan = [(scene, minutes * 60) for scene in SCENES for minutes in scene[7]]
    by_case = {scene[0]: scene for scene in SCENES}
    for case, day, count in DAYS:
        web = list(by_case["oom-limit"])
        web[0] = case
        web[5] = "registry.example/shop/web:1.8" if day > 8 else web[5]
        plan += [(tuple(web), day * 86_400 + n * 1_900) for n in range(count)]
    for n, ((case, namespace, kind, workload, container, image, node, _), ago) in enumerate(
        sorted(plan, key=lambda it: -it[1])
    ):
        if case not in cases:
            continue
        diagnosis = json.loads(cases[case])
        subject = diagnosis["subject"]
        template = f"{zlib.crc32(image.encode()):08x}".translate(str.maketrans("0123e", "4567f"))
        pod = f"{workload}-{template}-{draw.choice('xkqzt')}{n:02x}k"
        pod = f"{workload}-{n % 3}" if kind == "StatefulSet" else pod
        names = {
            subject.get("namespace", ""): namespace,
            subject.get("name", ""): pod,
            subject.get("container", ""): container,
            subject.get("node", ""): node,
            "node1": node,
            "node-1": node,
            "localhost/lab:1": image,
        }
        diagnosis = renamed(diagnosis, {old: new for old, new in names.items() if old and new})
        diagnosis = shifted(diagnosis, now - ago - seconds(diagnosis["eventTime"]))
        diagnosis["uid"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{n}"))
        diagnosis["revision"] = 1
        diagnosis["occurrenceCount"] = 1
        above = [{"kind": kind, "name": workload}]
        nearest = {"Deployment": "ReplicaSet", "CronJob": "Job"}.get(kind)
        if nearest:
            above.insert(0, {"kind": nearest, "name": pod.rsplit("-", 1)[0]})
        diagnosis["workloads"] = above
        if image and "container" in diagnosis:
            diagnosis["container"]["image"] = image
        with_memory(diagnosis, now - ago, draw)
        yield diagnosis


def main():
    address, cases = sys.argv[1], sys.argv[2]
    protocol(sys.argv[3])
    from coroner.v1 import (
        diagnosis_pb2,
        ingest_service_pb2,
        ingest_service_pb2_grpc,
        node_report_pb2,
        node_report_pb2_grpc,
    )

    by_case = {}
    with open(cases, encoding="utf-8") as lines:
        for line in lines:
            case, _, diagnosis = line.partition("\t")
            by_case[case] = diagnosis
    now = time.time()
    channel = grpc.insecure_channel(address)
    service = ingest_service_pb2_grpc.IngestServiceStub(channel)
    report_node(node_report_pb2_grpc.NodeReportServiceStub(channel), node_report_pb2)
    if "--alive" in sys.argv:
        # All but the last report again.
        for number in range(1, 6):
            report(service, ingest_service_pb2, number, now)
        return
    for number in range(1, 7):
        report(service, ingest_service_pb2, number, now)
    Record = ingest_service_pb2.OutboxRecord
    by_node = {}
    for diagnosis in diagnoses(by_case, now):
        message = json_format.ParseDict(diagnosis, diagnosis_pb2.Diagnosis(), ignore_unknown_fields=True)
        by_node.setdefault(message.subject.node, []).append(Record(diagnosis=message))
    gap = diagnosis_pb2.Gap(node="worker-2", source="cri", reason=2, text="The connection to the runtime broke.")
    gap.start_time.FromSeconds(int(now) - 7 * 3600)
    gap.end_time.FromSeconds(int(now) - 6 * 3600)
    by_node.setdefault("worker-2", []).append(Record(gap=gap))
    for node, records in by_node.items():
        for sequence, record in enumerate(records, 1):
            record.sequence = sequence
        answer = service.PushDiagnoses(
            ingest_service_pb2.PushDiagnosesRequest(node=node, stream_id="scene", records=records)
        )
        if answer.rejected:
            sys.exit(f"refused: {answer.rejected}")
    print(f"{sum(map(len, by_node.values()))} records")


def report_node(service, messages):
    """What the agent of one node states of its node."""
    report = messages.NodeReport(agent_version="0.1.0", boot_id="5b0c3a5e-6a0f-4d2e-9e55-0a4f6c1d2e3f")
    report.uptime.seconds, report.lease_age.seconds, report.running_container_count = 1_000_000, 4, 47
    report.kubelet.state, report.runtime.state, report.runtime.error = 1, 3, "no answer within 5 s"
    report.api_server.address = "10.96.0.1:443"
    pressure = report.pressure
    pressure.cpu_some_percent, pressure.memory_full_percent, pressure.io_full_percent = 34.5, 2.1, 11.0
    pressure.memory_available_bytes, pressure.memory_total_bytes = 9 << 30, 31 << 30
    pressure.file_systems.add(path="/var/lib/kubelet", available_bytes=41 << 30, size_bytes=80 << 30)
    report.kernel_faults.add(kind="io_error", line="nvme0n1: I/O Cmd(0x2) @ LBA 1287, 8 blocks", count=3)
    report.unobserved_checks.add(check="kubelet_certificate", reason="permission denied")
    service.ReportNode(messages.ReportNodeRequest(node="worker-2", report=report))


def report(service, messages, number, now):
    """The agent of a node reports its sources; one of them sees less than it could."""
    health = [
        ("kernel_log", 1, ""),
        ("cgroups", 1, ""),
        ("cri", 1, ""),
        ("containerd", 1, ""),
        ("signals", 3, "no tracefs"),
        ("pods", 1, ""),
    ]
    if number == 2:
        health[2] = ("cri", 2, "the runtime's socket does not answer within 5 s")
    push = messages.PushDiagnosesRequest(node=f"worker-{number}", stream_id=f"{number}")
    for source, state, reason in health:
        status = messages.SourceStatus(source=source, health=state, reason=reason, gap_count=1 if state == 2 else 0)
        status.since_time.FromSeconds(int(now) - (400 if state == 2 else 86_000))
        push.sources.append(status)
    service.PushDiagnoses(push)


if __name__ == "__main__":
    main()
