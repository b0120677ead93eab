"""Writes the part of Envoy's API that Heddle uses, as a serialised FileDescriptorSet.

Run by `make build` on the Python of `.tools/protos`, where the pinned package xds-protos lives: its generated modules
carry the API's descriptors. From the messages named in proto-roots.json everything reachable is kept and the rest is
dropped, message by message, and so are options (validation rules, annotations): the control plane loads this at each
start, and all of the API would cost it four times the time and memory.

Usage: descriptors.py ROOTS_JSON OUTPUT
"""

import importlib
import json
import pathlib
import sys

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor_pb2 import FieldDescriptorProto


def load_package(package: str) -> None:
    """Import every generated module of a proto package, which registers its descriptors in the default pool."""
    folder = importlib.import_module(package)
    for path in sorted(pathlib.Path(entry) for entry in folder.__path__):
        for module in sorted(path.glob("*_pb2.py")):
            importlib.import_module(f"{package}.{module.stem}")


def find_message(pool: descriptor_pool.DescriptorPool, name: str):
    load_package(name.rpartition(".")[0])
    try:
        return pool.FindMessageTypeByName(name)
    except KeyError:
        sys.exit(f"proto-roots.json names {name}, which the installed xds-protos does not have")


def reachable(roots) -> set[str]:
    """Full names of all messages and enums that the roots refer to, themselves included."""
    seen: set[str] = set()
    queue = list(roots)
    while queue:
        message = queue.pop()
        if message.full_name in seen:
            continue
        seen.add(message.full_name)
        for field in message.fields:
            if field.message_type is not None:
                queue.append(field.message_type)
            elif field.enum_type is not None:
                seen.add(field.enum_type.full_name)
    return seen


def prune_field(field: FieldDescriptorProto) -> None:
    """Drop all options but the two that matter: how repeated numbers are packed, and deprecation."""
    kept = descriptor_pb2.FieldOptions()
    if field.options.HasField("packed"):
        kept.packed = field.options.packed
    if field.options.deprecated:
        kept.deprecated = True
    field.ClearField("options")
    if kept.ByteSize():
        field.options.CopyFrom(kept)


def prune_enum(enum: descriptor_pb2.EnumDescriptorProto) -> None:
    allow_alias = enum.options.allow_alias
    enum.ClearField("options")
    if allow_alias:
        enum.options.allow_alias = True
    for value in enum.value:
        value.ClearField("options")


def prune_message(message: descriptor_pb2.DescriptorProto, name: str, kept: set[str]) -> bool:
    """Reduce a message to what is kept; false when nothing of it is. A mere parent loses its fields."""
    nested = [m for m in message.nested_type if prune_message(m, f"{name}.{m.name}", kept)]
    enums = [e for e in message.enum_type if f"{name}.{e.name}" in kept]
    for enum in enums:
        prune_enum(enum)
    replace(message.nested_type, nested)
    replace(message.enum_type, enums)
    message.ClearField("extension")
    map_entry = message.options.map_entry
    message.ClearField("options")
    if map_entry:
        message.options.map_entry = True
    if name not in kept:
        for part in ("field", "oneof_decl", "reserved_range", "reserved_name", "extension_range"):
            message.ClearField(part)
        return bool(nested or enums)
    message.ClearField("reserved_range")
    message.ClearField("reserved_name")
    for field in message.field:
        prune_field(field)
    for oneof in message.oneof_decl:
        oneof.ClearField("options")
    return True


def replace(container, items) -> None:
    copies = [type(item).FromString(item.SerializeToString()) for item in items]
    del container[:]
    container.extend(copies)


def prune_file(descriptor, kept: set[str]) -> descriptor_pb2.FileDescriptorProto | None:
    file = descriptor_pb2.FileDescriptorProto()
    descriptor.CopyToProto(file)
    messages = [m for m in file.message_type if prune_message(m, f"{file.package}.{m.name}", kept)]
    enums = [e for e in file.enum_type if f"{file.package}.{e.name}" in kept]
    if not messages and not enums:
        return None
    for enum in enums:
        prune_enum(enum)
    replace(file.message_type, messages)
    replace(file.enum_type, enums)
    for part in ("service", "extension", "options", "dependency", "public_dependency", "weak_dependency", "option_dependency"):
        if part in file.DESCRIPTOR.fields_by_name:
            file.ClearField(part)
    return file


def main(roots_path: str, output: str) -> None:
    groups = json.loads(pathlib.Path(roots_path).read_text(encoding="utf-8"))
    names = [name for group in groups.values() if isinstance(group, list) for name in group]
    pool = descriptor_pool.Default()
    roots = [find_message(pool, name) for name in names]
    kept = reachable(roots)

    files = {}
    for name in kept:
        try:
            descriptor = pool.FindMessageTypeByName(name)
        except KeyError:
            descriptor = pool.FindEnumTypeByName(name)
        files[descriptor.file.name] = descriptor.file

    out = descriptor_pb2.FileDescriptorSet()
    for name in sorted(files):
        pruned = prune_file(files[name], kept)
        if pruned is not None:
            out.file.append(pruned)
    path = pathlib.Path(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = out.SerializeToString(deterministic=True)
    path.write_bytes(data)
    print(f"{path.name}: {len(out.file)} files, {len(kept)} messages and enums, {len(data) // 1000} kB")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
