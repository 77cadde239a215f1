"""Holds lines of JSON on stdin against the schemas in a folder; prints those that do not hold."""
import json
import sys

import jsonschema

folder = sys.argv[1]
names = []
for line in sys.stdin:
    answer = json.loads(line)
    name = answer["schema"]
    names.append(name)
    file = f"{folder}/{name.removeprefix('kdump-mem.').replace('/', '-')}.json"
    with open(file) as schema:
        validator = jsonschema.Draft202012Validator(json.load(schema))
    for error in validator.iter_errors(answer):
        print(f"{name}: {error.json_path}: {error.message[:200]}")
print(" ".join(names))
