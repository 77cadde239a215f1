"""Members of structs as the kernel's debug information has them: JSON on stdout.

Run by drgn with a file of struct names. Anonymous members are looked through; each member is
[bit offset, bits of a bitfield or 0, bytes, elements of an array or -1, is a pointer].
"""

import json
import sys

from drgn import TypeKind, sizeof


def size_of(t):
    try:
        return sizeof(t)
    except TypeError:
        return 0  # a flexible array, or what has no size


def flatten(t, base, members):
    for member in t.members:
        under = member.type
        while under.kind == TypeKind.TYPEDEF:
            under = under.type
        offset = base + member.bit_offset
        if member.name is None:
            if under.kind in (TypeKind.STRUCT, TypeKind.UNION):
                flatten(under, offset, members)
        elif member.name not in members:
            count = (under.length or 0) if under.kind == TypeKind.ARRAY else -1
            nested = under.kind == TypeKind.ARRAY and under.type.kind == TypeKind.ARRAY
            members[member.name] = [
                offset,
                member.bit_field_size or 0,
                size_of(member.type),
                # BTF writes an array of arrays as one long array.
                -2 if nested else count,
                under.kind == TypeKind.POINTER,
            ]


found = {}
for name in open(sys.argv[1]).read().split():
    try:
        t = prog.type("struct " + name)  # noqa: F821 - drgn's
    except LookupError:
        continue
    if t.is_complete():
        members = {}
        flatten(t, 0, members)
        found[name] = [t.size, members]
json.dump(found, sys.stdout)
