"""Validates a file of OCSF records, one a line, by the schema of the version, the class and the profiles that each names.

usage: ocsf.py FILE
"""

import functools
import json
import pathlib
import sys

import jsonschema
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema


@functools.cache
def schema(version):
    return OcsfJsonSchemaEmbedded(get_ocsf_schema(version))


@functools.cache
def validator(version, class_uid, profiles):
    of_version = schema(version)
    name = of_version.lookup_class_name_from_uid(class_uid)
    return jsonschema.Draft202012Validator(of_version.get_class_schema(name, list(profiles)))


def complaints(record):
    metadata = record["metadata"]
    try:
        by = validator(metadata["version"], record["class_uid"], tuple(metadata.get("profiles", ())))
    except ValueError as error:
        yield f"class_uid: {error}"
        return
    for error in by.iter_errors(record):
        yield f"{error.json_path}: {error.message}"
    # Requirements of the schema that it only describes.
    if record["category_uid"] != record["class_uid"] // 1000:
        yield "category_uid is not that of class_uid"
    if record["type_uid"] != record["class_uid"] * 100 + record["activity_id"]:
        yield "type_uid is not class_uid * 100 + activity_id"


records = [json.loads(line) for line in pathlib.Path(sys.argv[1]).read_text().splitlines()]
wrong = [(record, found) for record in records if (found := list(complaints(record)))]
for record, found in wrong[:10]:
    print(json.dumps(record, indent=1), *found, sep="\n")
if wrong:
    sys.exit(f"{len(wrong)} of {len(records)} are not valid")
print(f"{len(records)} are valid")
