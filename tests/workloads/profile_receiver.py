"""Takes profiles as Pyroscope and an OpenTelemetry collector do, reads them by protobuf's own parser,
and tells a line of JSON about each request.

usage: profile_receiver.py PORT TIMES_TO_BE_BUSY [CERTIFICATE KEY]
"""

import gzip
import json
import ssl
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import handshake
import read_profile
from opentelemetry.proto.collector.profiles.v1development import profiles_service_pb2


def pyroscope(query, body):
    asked = {key: value for key, (value,) in urllib.parse.parse_qs(query, strict_parsing=True).items()}
    assert asked["format"] == "pprof", asked
    assert int(asked["until"]) > int(asked["from"]) > 1_600_000_000, asked
    assert int(asked["sampleRate"]) > 0, asked
    kind, unit, seconds, lines = read_profile.sums(gzip.decompress(body))
    assert asked["units"] == unit, asked
    name, labels = asked["name"].rstrip("}").split("{")
    labels = dict(label.split("=") for label in labels.split(","))
    return [{"type": kind, "service": name, "pid": int(labels["pid"]), "seconds": seconds, "lines": lines}]


def otlp(body):
    request = profiles_service_pb2.ExportProfilesServiceRequest.FromString(body)
    # What the schema has no field for would be here.
    assert not any(True for _ in unknown(request)), request
    tables = request.dictionary
    text = tables.string_table
    for name, field in tables.DESCRIPTOR.fields_by_name.items():
        first = getattr(tables, name)[0]
        assert first == "" if name == "string_table" else not first.ListFields(), name
    for resource in request.resource_profiles:
        known = {one.key: one.value for one in resource.resource.attributes}
        for scope in resource.scope_profiles:
            assert scope.scope.name == "pitviper", scope
            for profile in scope.profiles:
                assert len(profile.profile_id) == 16 and profile.time_unix_nano > 1.6e18, profile
                lines = {}
                for sample in profile.samples:
                    stack = tables.stack_table[sample.stack_index].location_indices
                    location = tables.location_table[stack[0]]
                    frame = tables.attribute_table[location.attribute_indices[0]]
                    assert text[frame.key_strindex] == "profile.frame.type", frame
                    (line,) = location.lines
                    function = tables.function_table[line.function_index]
                    file = text[function.filename_strindex]
                    key = f"{text[function.name_strindex]} {file}:{line.line}"
                    lines[key] = lines.get(key, 0) + sum(sample.values)
                yield {
                    "type": text[profile.sample_type.type_strindex],
                    "service": known["service.name"].string_value,
                    "pid": known["process.pid"].int_value,
                    "seconds": profile.duration_nano / 1e9,
                    "lines": lines,
                }


def unknown(message):
    """Fields that came and that the schema does not know, at any depth."""
    from google.protobuf import unknown_fields

    yield from unknown_fields.UnknownFieldSet(message)
    for field, value in message.ListFields():
        if field.message_type is not None:
            for one in value if field.is_repeated else [value]:
                yield from unknown(one)


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    busy = 0

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path, _, query = self.path.partition("?")
        if Receiver.busy > 0:
            Receiver.busy -= 1
            return self.answer(503)
        try:
            if path == "/ingest":
                profiles = pyroscope(query, body)
            else:
                assert path == "/v1development/profiles", path
                assert self.headers["Content-Type"] == "application/x-protobuf"
                profiles = list(otlp(body))
        except Exception as error:
            handshake.say("BAD " + repr(error))
            return self.answer(400)
        for profile in profiles:
            handshake.say("GOT " + json.dumps({"auth": self.headers["Authorization"], **profile}))
        self.answer(200)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


def main(port, busy, certificate=None, key=None):
    Receiver.busy = int(busy)
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Receiver)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    handshake.ready()
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
