"""As much of grpcurl as the README uses: one unary call with a JSON message, described by reflection, and the answer as JSON."""

import argparse

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("-plaintext", action="store_true", required=True)
parser.add_argument("-d", required=True)
parser.add_argument("address")
parser.add_argument("method")
arguments = parser.parse_args()

with grpc.insecure_channel(arguments.address) as channel:
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    service, name = arguments.method.split("/")
    method = pool.FindServiceByName(service).methods_by_name[name]
    request = json_format.Parse(arguments.d, GetMessageClass(method.input_type)())
    call = channel.unary_unary(
        f"/{arguments.method}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    print(json_format.MessageToJson(call(request, timeout=20), indent=None))
