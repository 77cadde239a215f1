"""Values of whole instances, as drgn reads them by debug information: JSON on stdout.

Arguments: TYPE ADDRESS pairs, where ADDRESS is a symbol or hex. The answer is a list of
{ path: value } for each pair. Arrays stand for themselves up to 16 elements; anonymous members add
nothing to the path.
"""

import json
import sys

from drgn import Object, TypeKind

MAX_ELEMENTS = 16


def flatten(obj, path, into):
    type_ = obj.type_
    while type_.kind == TypeKind.TYPEDEF:
        type_ = type_.type
    if type_.kind in (TypeKind.STRUCT, TypeKind.UNION):
        if type_.members is None:
            return
        for member in type_.members:
            inner = obj.member_(member.name) if member.name else None
            if inner is not None:
                flatten(inner, f"{path}.{member.name}" if path else member.name, into)
            else:
                flatten_anonymous(obj, member, path, into)
    elif type_.kind == TypeKind.ARRAY:
        element = type_.type
        while element.kind == TypeKind.TYPEDEF:
            element = element.type
        if type_.length is None:
            return
        if element.kind == TypeKind.INT and element.name in ("char", "const char"):
            data = bytes(int(obj[i]) & 0xFF for i in range(type_.length))
            into[path] = {"text": data.rstrip(b"\0").hex()}
            return
        for index in range(min(type_.length, MAX_ELEMENTS)):
            flatten(obj[index], f"{path}[{index}]", into)
    elif type_.kind in (TypeKind.INT, TypeKind.BOOL, TypeKind.POINTER):
        into[path] = str(int(obj.value_()))
    elif type_.kind == TypeKind.ENUM:
        into[path] = str(int(obj.value_()))


def flatten_anonymous(obj, member, path, into):
    inner = Object(prog, member.type, address=obj.address_ + member.offset)  # noqa: F821
    flatten(inner, path, into)


def main(prog):
    answers = []
    for name, place in zip(sys.argv[1::2], sys.argv[2::2]):
        address = int(place, 16) if place.startswith("0x") else prog.symbol(place).address
        into = {}
        flatten(Object(prog, name, address=address), "", into)
        answers.append({"address": hex(address), "values": into})
    json.dump(answers, sys.stdout)


main(prog)  # noqa: F821 - drgn's
