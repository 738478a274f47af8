"""docs/openapi.json as tests use it: what it describes, and how far the program's tables differ."""

import json
import re

import jsonschema

from support.server import REPO

PATH = REPO / "docs" / "openapi.json"
SCHEMES = {"partner": "partnerKey", "adserver": "adserverKey", "publisher": "publisherKey"}
LIMITED = {"client", "partner", "publisher"}
SCHEMA_OF = {"Detail": "detail", "AdFeedbackError": "ad_feedback", "PollError": "poll"}
PAGES = {"conversion.c": ("Conversion", "ConversionApi"), "collect.c": ("Event",),
         "feedback.c": ("Feedback",), "ad_feedback.c": ("AdFeedback",),
         "mint.c": ("AdToMint", "MintRequest")}


def load():
    return json.loads(PATH.read_text())


class Description:
    """One OpenAPI document."""

    def __init__(self, document=None):
        self.document = document or load()

    def at(self, node):
        """The node itself, or what its $ref points to."""
        while "$ref" in node:
            target = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node

    def operations(self):
        """(method, path, operation), in the document's order."""
        return [(method.upper(), path, operation)
                for path, item in self.document["paths"].items()
                for method, operation in item.items()]

    def responses(self):
        """(method, path, operation, status, response) of every operation."""
        return [(method, path, operation, int(status), self.at(response))
                for method, path, operation in self.operations()
                for status, response in operation["responses"].items()]

    def json_of(self, node):
        """The JSON content of a request or a response, or {}."""
        return self.at(node).get("content", {}).get("application/json", {})

    def examples(self, node):
        """name -> value; an unnamed example is called ""."""
        content = self.json_of(node)
        if "example" in content:
            return {"": content["example"]}
        return {n: self.at(e)["value"] for n, e in content.get("examples", {}).items()}

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
