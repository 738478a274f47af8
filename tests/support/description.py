"""docs/openapi*.json as tests use them: what they describe, and how far the program's tables differ."""

import json
import re
import sys

import jsonschema

from support.server import REPO

sys.path.insert(0, str(REPO / "tools"))
import openapi  # noqa: E402: what makes the pages reads the documents as the tests do

PATH = REPO / "docs" / "openapi.json"
ADMIN_PATH = REPO / "docs" / "openapi-admin.json"
SCHEMES = {"partner": "partnerKey", "adserver": "adserverKey", "publisher": "publisherKey"}
LIMITED = {"client", "partner", "publisher"}
SCHEMA_OF = {"Detail": "detail", "AdFeedbackError": "ad_feedback", "PollError": "poll"}
PAGES = {"conversion.c": ("Conversion", "ConversionApi"), "collect.c": ("Event",),
         "feedback.c": ("Feedback",), "ad_feedback.c": ("AdFeedback",),
         "mint.c": ("AdToMint", "MintRequest")}


def load(path=PATH):
    return json.loads(path.read_text())


class Description(openapi.Document):
    """One of them, the public listener's unless told."""

    def __init__(self, document=None):
        super().__init__(document or load())

    def responses(self):
        """(method, path, operation, status, response) of every operation."""
        return [(method, path, operation, int(status), self.at(response))
                for method, path, operation in self.operations()
                for status, response in operation["responses"].items()]

    def json_of(self, node):
        """The JSON content of a request or a response, or {}."""
        return self.at(node).get("content", {}).get("application/json", {})

    def examples(self, node):
        """name -> value of the JSON examples of a request or a response."""
        return self.examples_of(self.json_of(node))

    def schema(self, name):
        return self.document["components"]["schemas"][name]

    def check(self, schema, value):
        """Raises jsonschema.ValidationError when the value is not what the schema says."""
        whole = {**schema, "components": self.document["components"]}
        jsonschema.Draft202012Validator(whole).validate(value)

    def references(self):
        found = []

        def walk(node):
            if isinstance(node, dict):
                found.extend([node["$ref"]] if isinstance(node.get("$ref"), str) else [])
                node = list(node.values())
            if isinstance(node, list):
                for one in node:
                    walk(one)

        walk(self.document)
        return found


def shape(value):
    """The names and types within a JSON value; of a list, those of its first member."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if type(value) in (int, float) else type(value)


# -- what differs: lists of sentences, empty when nothing does -------------------------------


def wanted_scheme(auth):
    return [{SCHEMES[auth]: []}] if auth in SCHEMES else []


def route_differences(description, tables):
    """The paths, methods, keys and limits against the route table."""
    rows = {(row["method"], row["path"]): row for row in tables["routes"]}
    described = {(method, path): op for method, path, op in description.operations()}
    out = [f"{key} is a route and not described" for key in rows.keys() - described.keys()]
    out += [f"{key} is described and no route" for key in described.keys() - rows.keys()]
    for key in rows.keys() & described.keys():
        row, operation = rows[key], described[key]
        if operation["security"] != wanted_scheme(row["auth"]):
            out.append(f"{key} takes another key: {operation['security']}")
        for status, has in (("429", row["auth"] in LIMITED), ("413", row["method"] == "POST")):
            if (status in operation["responses"]) != has:
                out.append(f"{key}: {status} is {'not ' if has else ''}described")
    return out


def refusal_differences(description, tables):
    """The examples of refusals against the table of refusals, bodies to the letter. What a
    validation error says is made of problems, so that row has no text of its own."""
    rows = {f"{dialect}.{row['label']}": body for row in tables["refusals"]
            for dialect, body in row["bodies"].items() if row["label"] != "validation"}
    examples = {name: example["value"]
                for name, example in description.document["components"]["examples"].items()
                if not name.endswith(".validation")}
    out = [f"{name} is not described" for name in rows.keys() - examples.keys()]
    out += [f"{name} is no refusal" for name in examples.keys() - rows.keys()]
    return out + [f"{name}: {examples[name]} is not {rows[name]}"
                  for name in rows.keys() & examples.keys() if rows[name] != examples[name]]


def status_differences(description, tables):
    """Each refusal stands under its own status and in its route's dialect."""
    statuses = {row["label"]: row["status"] for row in tables["refusals"]}
    dialects = {(row["method"], row["path"]): row["dialect"] for row in tables["routes"]}
    out = []
    for method, path, _, status, response in description.responses():
        content = description.json_of(response)
        name = content.get("schema", {}).get("$ref", "").rsplit("/", 1)[-1]
        if name not in SCHEMA_OF:
            continue
        if SCHEMA_OF[name] != dialects.get((method, path)):
            out.append(f"{method} {path} {status} has the dialect of {name}")
        out += [f"{method} {path}: {label} is {statuses[label]}, not {status}"
                for label in content["examples"]
                if label != "validation" and statuses.get(label) != status]
    return out


def type_differences(description, tables):
    described = description.schema("Problem")["properties"]["type"]["enum"]
    return [] if described == tables["problems"] else [f"{described} is not {tables['problems']}"]


def field_differences(description, sources):
    """The names of each page's table of fields; `sources` is file name -> C text."""
    out = []
    for file, schemas in PAGES.items():
        rows = set(re.findall(r'SPAN_INIT\("(\w+)"\),\s*\w+,\s*FIELD_', sources[file]))
        names = {name for s in schemas for name in description.schema(s)["properties"]}
        out += [f"{file}: {name} is not the same in code and description" for name in rows ^ names]
    return out
