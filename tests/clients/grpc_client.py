"""A gRPC client as a user has it: Python, with the code that grpc_tools makes from the published .proto files.

    grpc_client.py PROTO_DIR HOST:PORT

calls every method of the ingest service once and prints what was answered, as one JSON object. It judges nothing.
"""

import gzip
import importlib
import itertools
import json
import sys
import tempfile
import time

import grpc
from grpc_tools import protoc

FILES = ["gosight/common.proto", "gosight/events.proto", "gosight/ingest.proto"]
KEY = "gs_test_key"
OTHER_KEY = "gs_test_project_key"
SECONDS = 20


def generated(proto_dir, folder):
    """Generates the code and imports it: (events_pb2, common_pb2, ingest_pb2, ingest_pb2_grpc)."""
    arguments = ["protoc", f"-I{proto_dir}", f"--python_out={folder}", f"--grpc_python_out={folder}", *FILES]
    if protoc.main(arguments) != 0:
        raise SystemExit(f"the .proto files of {proto_dir} do not compile")
    sys.path.insert(0, folder)
    names = ["events_pb2", "common_pb2", "ingest_pb2", "ingest_pb2_grpc"]
    return [importlib.import_module(f"gosight.{name}") for name in names]


def metadata(pairs):
    return {key: value for key, value in pairs or () if isinstance(value, str)}


def ack(message):
    return {
        "success": message.success,
        "accepted_count": message.accepted_count,
        "rejected_count": message.rejected_count,
        "errors": list(message.errors),
    }


def main(proto_dir, address):
    with tempfile.TemporaryDirectory() as folder:
        events, common, ingest, service = generated(proto_dir, folder)

    # No two events are the same: without ids, the same event sent twice is one.
    numbers = itertools.count()

    def batch(session, count=1, key=""):
        clicks = [
            events.Event(
                type=events.EVENT_TYPE_CLICK,
                timestamp=int(time.time() * 1000),
                page=common.Page(url="https://shop.example/", path="/"),
                click=events.ClickEvent(x=next(numbers), y=2, target=common.TargetElement(tag="button", classes=["buy"])),
            )
            for _ in range(count)
        ]
        device = common.Device(browser="Shop", os="Android", screen_width=412)
        meta = common.SessionMeta(session_id=session, user_id="user-1", device=device)
        return ingest.EventBatch(project_key=key, session=meta, events=clicks, sent_at=int(time.time() * 1000))

    def send_batch(stub, message, **options):
        try:
            answer, call = stub.SendBatch.with_call(message, timeout=SECONDS, **options)
        except grpc.RpcError as error:
            return {"code": error.code().name, "details": error.details(), "metadata": metadata(error.trailing_metadata())}
        return {"ack": ack(answer), "initial": metadata(call.initial_metadata()), "trailing": metadata(call.trailing_metadata())}

    results = {}
    with grpc.insecure_channel(address) as channel:
        stub = service.IngestServiceStub(channel)
        results["batch"] = send_batch(stub, batch("batch", 2, KEY))
        results["batch_gzip"] = send_batch(
            stub, batch("batch-gzip"), metadata=[("x-project-key", KEY)], compression=grpc.Compression.Gzip
        )
        results["refused"] = send_batch(stub, batch("refused", 1, "gs_unknown"))

        # One session in order; the third batch names another key than the call does, and the stream goes on.
        batches = [batch("stream", count, OTHER_KEY if count == 3 else "") for count in range(1, 6)]
        call = stub.SendEvents(iter(batches), metadata=[("authorization", f"Bearer {KEY}")], timeout=SECONDS)
        results["stream"] = {"acks": [ack(message) for message in call], "code": call.code().name}
        results["stream"]["trailing"] = metadata(call.trailing_metadata())

        recorded = [json.dumps([{"type": 2, "timestamp": number, "data": {"node": number}}]).encode() for number in range(3)]
        chunks = [
            ingest.ReplayChunk(
                chunk_index=number,
                timestamp_start=1_700_000_000_000 + number,
                timestamp_end=1_700_000_001_000 + number,
                data=gzip.compress(data) if number % 2 == 0 else data,
                has_full_snapshot=number == 0,
            )
            for number, data in enumerate(recorded)
        ]
        # Neither key nor session stand in a chunk.
        names = [("x-project-key", KEY), ("x-session-id", "replay")]
        answer = stub.SendReplay(iter(chunks), metadata=names, timeout=SECONDS)
        results["replay"] = {"success": answer.success, "message": answer.message}
    print(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
