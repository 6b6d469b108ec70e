"""A receiver of OTLP logs that answers as a caller asks in its header `x-script`, and writes each call down as a line of JSON.

usage: receiver.py PORT DIRECTORY [MOST-BYTES]

It writes its port into DIRECTORY/port, and calls into DIRECTORY/calls.jsonl; it goes on where those of an earlier life end. Scripts:

  take                   take everything
  first CODE [SECONDS]   refuse the first call, with a RetryInfo of so many seconds
  poison CODE            refuse every call that holds `number 5`
  quota CODE             refuse `number 5` in company always, alone twice
  most N CODE            refuse every call of more than N records
  partial N              take the first call but for N records that it does not name
  each N                 take every call but for N records
  warning                take the first call, with a warning in the answer
"""

import json
import pathlib
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as api
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as rpc

POISON = "number 5"


class Receiver(rpc.LogsServiceServicer):
    def __init__(self, path):
        self.lock = threading.Lock()
        lines = path.read_text().splitlines() if path.exists() else []
        self.calls = [json.loads(line) for line in lines]
        self.file = path.open("a")

    def Export(self, request, context):
        script = dict(context.invocation_metadata())["x-script"]
        records = [
            (resource.resource, record)
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]
        bodies = [record.body.string_value for _, record in records]
        with self.lock:
            status, partial = self.answer(script.split(), bodies, [c for c in self.calls if c["script"] == script])
            call = {
                "script": script,
                "at": time.monotonic(),
                "bodies": bodies,
                "pods": [text(resource.attributes, "k8s.pod.name") for resource, _ in records],
                "uids": [text(record.attributes, "log.record.uid") for _, record in records],
                "taken": status is None,
            }
            self.calls.append(call)
            self.file.write(json.dumps(call) + "\n")
            self.file.flush()
        if status is not None:
            context.abort_with_status(rpc_status.to_status(status))
        return api.ExportLogsServiceResponse(partial_success=partial)

    def answer(self, script, bodies, before):
        """The status of a refusal, or None, and what is rejected in part."""
        first = not before
        match script:
            case ["first", code, *seconds] if first:
                return refusal(code, *map(float, seconds)), None
            case ["poison", code] if POISON in bodies:
                return refusal(code), None
            case ["quota", code] if POISON in bodies:
                alone = sum(call["bodies"] == [POISON] for call in before)
                return (refusal(code), None) if bodies != [POISON] or alone < 2 else (None, None)
            case ["most", most, code] if len(bodies) > int(most):
                return refusal(code), None
            case ["partial", count] if first:
                return None, rejection(count)
            case ["each", count]:
                return None, rejection(count)
            case ["warning"] if first:
                return None, api.ExportLogsPartialSuccess(error_message="you use an old schema")
        return None, None


def rejection(count):
    return api.ExportLogsPartialSuccess(rejected_log_records=int(count), error_message="too old")


def refusal(code, seconds=None):
    status = status_pb2.Status(code=grpc.StatusCode[code].value[0], message=f"not this: {code}")
    if seconds is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(int(seconds * 1000))
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.RetryInfo(retry_delay=delay))
        status.details.append(detail)
    return status


def text(attributes, key):
    return next((attribute.value.string_value for attribute in attributes if attribute.key == key), None)


def main(port, directory, most_bytes=None):
    directory = pathlib.Path(directory)
    options = [("grpc.so_reuseport", 0)]
    if most_bytes is not None:
        options.append(("grpc.max_receive_message_length", int(most_bytes)))
    server = grpc.server(ThreadPoolExecutor(max_workers=32), options=options)
    rpc.add_LogsServiceServicer_to_server(Receiver(directory / "calls.jsonl"), server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    (directory / "port").write_text(f"{port}\n")
    server.wait_for_termination()


main(*sys.argv[1:])
