"""As much of grpcurl as the README uses: one unary call with a JSON message, and the answer as JSON."""

import argparse
import sys

import grpc
from google.protobuf import json_format

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("-plaintext", action="store_true", required=True)
parser.add_argument("-import-path", required=True)
parser.add_argument("-proto", required=True)
parser.add_argument("-d", required=True)
parser.add_argument("address")
parser.add_argument("method")
arguments = parser.parse_args()

sys.path.append(arguments.import_path)
messages, services = grpc.protos_and_services(arguments.proto)
service, name = arguments.method.split("/")
method = messages.DESCRIPTOR.services_by_name[service.split(".")[-1]].methods_by_name[name]
request = json_format.Parse(arguments.d, getattr(messages, method.input_type.name)())
answer_type = getattr(messages, method.output_type.name)
with grpc.insecure_channel(arguments.address) as channel:
    call = channel.unary_unary(
        f"/{arguments.method}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=answer_type.FromString,
    )
    print(json_format.MessageToJson(call(request, timeout=20), indent=None))
