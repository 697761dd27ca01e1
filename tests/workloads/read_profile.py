"""Reads a profile by means that pitviper has no part in, and sums it up as JSON.

usage: read_profile.py pprof FILE | read_profile.py SCHEMA FILE
"""

import gzip
import json
import sys

# Field numbers and types as pprof documents them in profile.proto.
MESSAGES = {
    "ValueType": "type:1:int64 unit:2:int64",
    "Label": "key:1:int64 str:2:int64 num:3:int64 num_unit:4:int64",
    "Sample": "location_id:1:uint64* value:2:int64* label:3:Label*",
    "Mapping": "id:1:uint64 memory_start:2:uint64 memory_limit:3:uint64 file_offset:4:uint64 "
    "filename:5:int64 build_id:6:int64 has_functions:7:bool has_filenames:8:bool "
    "has_line_numbers:9:bool has_inline_frames:10:bool",
    "Line": "function_id:1:uint64 line:2:int64 column:3:int64",
    "Location": "id:1:uint64 mapping_id:2:uint64 address:3:uint64 line:4:Line* is_folded:5:bool",
    "Function": "id:1:uint64 name:2:int64 system_name:3:int64 filename:4:int64 start_line:5:int64",
    "Profile": "sample_type:1:ValueType* sample:2:Sample* mapping:3:Mapping* location:4:Location* "
    "function:5:Function* string_table:6:string* drop_frames:7:int64 keep_frames:8:int64 "
    "time_nanos:9:int64 duration_nanos:10:int64 period_type:11:ValueType period:12:int64 "
    "comment:13:int64* default_sample_type:14:int64",
}


def profile_class():
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    package = "perftools.profiles"
    file = descriptor_pb2.FileDescriptorProto(name="p.proto", package=package, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for text in fields.split():
            field, number, kind = text.split(":")
            one = message.field.add(name=field, number=int(number))
            one.label = one.LABEL_REPEATED if kind.endswith("*") else one.LABEL_OPTIONAL
            kind = kind.rstrip("*")
            if kind in MESSAGES:
                one.type, one.type_name = one.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                one.type = getattr(one, "TYPE_" + kind.upper())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(package + ".Profile"))


def pprof(path):
    with gzip.open(path) as file:
        return sums(file.read())


def sums(profile):
    profile = profile_class().FromString(profile)
    text = profile.string_table
    assert text[0] == ""
    functions = {function.id: function for function in profile.function}
    locations = {location.id: location for location in profile.location}
    lines = {}
    for sample in profile.sample:
        line = locations[sample.location_id[0]].line[0]
        function = functions[line.function_id]
        key = f"{text[function.name]} {text[function.filename]}:{line.line}"
        lines[key] = lines.get(key, 0) + sample.value[0]
    kind = profile.sample_type[0]
    return text[kind.type], text[kind.unit], profile.duration_nanos / 1e9, lines


def speedscope(path, schema):
    import jsonschema

    with open(path, encoding="utf-8") as file, open(schema, encoding="utf-8") as known:
        document, schema = json.load(file), json.load(known)
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    validator(schema).validate(document)
    (profile,) = document["profiles"]
    lines = {}
    for sample, weight in zip(profile["samples"], profile["weights"], strict=True):
        frame = document["shared"]["frames"][sample[-1]]
        key = f"{frame['name']} {frame.get('file')}:{frame.get('line')}"
        lines[key] = lines.get(key, 0) + weight
    assert profile["endValue"] == sum(profile["weights"])
    return profile["type"], profile["unit"], None, lines


def main(how, path):
    found = pprof(path) if how == "pprof" else speedscope(path, how)
    print(json.dumps(dict(zip(["type", "unit", "seconds", "lines"], found))))


if __name__ == "__main__":
    main(*sys.argv[1:])
