"""Learns from the aggregator at HOST:PORT, by reflection alone, what it serves, and asks for its status.

usage: reflection.py HOST:PORT DIRECTORY-OF-CERTIFICATES
"""

import pathlib
import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

address, directory = sys.argv[1], pathlib.Path(sys.argv[2])
files = ((directory / name).read_bytes() for name in ("ca.crt", "reader.key", "reader.crt"))
with grpc.secure_channel(address, grpc.ssl_channel_credentials(*files)) as channel:
    database = ProtoReflectionDescriptorDatabase(channel)
    for name in sorted(database.get_services()):
        print("service", name)
    service = DescriptorPool(database).FindServiceByName("coroner.v1.DiagnosisService")
    method = service.methods_by_name["GetStatus"]
    call = channel.unary_unary(
        f"/{service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    print("version", call(GetMessageClass(method.input_type)()).version)
