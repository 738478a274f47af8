"""api_page.py OPENAPI.json OUT.html ADDRESS OTHER=TEXT: an API description as one page that needs nothing else.

ADDRESS is where the document is served, OTHER another page to name by TEXT. Run by the build. It knows what
docs/openapi*.json use of OpenAPI and JSON Schema, and stops at a reference that leads nowhere.
"""

import html
import json
import sys

import openapi

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} API</title>
<link rel="stylesheet" href="/docs.css">
</head>
<body>
<header><h1>{title} {version}</h1>
<p>{summary} <a href="{address}">OpenAPI document</a> <a href="{other}">{other_text}</a></p></header>
<nav aria-label="Operations">{nav}</nav>
<main>
<section id="rules"><h2>What holds everywhere</h2><p>{description}</p></section>
{operations}
{schemas}
</main>
</body>
</html>
"""


def text(value):
    return html.escape(str(value), quote=True)


def prose(value):
    """Plain text; what stands between backquotes becomes code."""
    parts = text(value).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))


def tag(name, content, **attributes):
    attributes = "".join(f' {k.rstrip("_")}="{text(v)}"' for k, v in attributes.items())
    return f"<{name}{attributes}>{content}</{name}>"


def sample(value):
    body = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return tag("pre", tag("code", text(body)), tabindex="0")


def table(headings, rows):
    head = tag("tr", "".join(tag("th", h, scope="col") for h in headings))
    body = "".join(tag("tr", "".join(tag("td", cell) for cell in row)) for row in rows)
    return tag("div", tag("table", tag("thead", head) + tag("tbody", body)), class_="wide")


class Page(openapi.Document):
    """The renderer of one document."""

    # -- schemas ----------------------------------------------------------------------------

    def kind(self, schema):
        """A schema in a few words: "string, 1 to 256"."""
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            return tag("a", text(name), href=f"#schema-{name}")
        if "oneOf" in schema:
            return " or ".join(self.kind(one) for one in schema["oneOf"])
        if "const" in schema or "enum" in schema:
            values = schema.get("enum", [schema.get("const")])
            return " or ".join(tag("code", text(json.dumps(value))) for value in values)
        kinds = schema.get("type", "anything")
        kinds = " or ".join(kinds) if isinstance(kinds, list) else kinds
        if kinds == "array" and "items" in schema:
            kinds = "array of " + self.kind(schema["items"])
        return kinds + self.bounds(schema)

    @staticmethod
    def bounds(schema):
        words = {"minLength": "at least {}", "maxLength": "at most {}", "minimum": "from {}",
                 "maximum": "to {}", "minItems": "at least {} items",
                 "maxItems": "at most {} items",
                 "format": "{}"}
        found = [word.format(schema[key]) for key, word in words.items() if key in schema]
        return "".join(", " + text(bound) for bound in found)

    def properties(self, schema):
        required = schema.get("required", [])
        return [(tag("code", text(name)) + (" <em>required</em>" if name in required else ""),
                 self.kind(part), prose(self.at(part).get("description", "")))
                for name, part in schema.get("properties", {}).items()]

    def schema(self, name, schema):
        rows = self.properties(schema)
        content = tag("h3", text(name)) + tag("p", prose(schema.get("description", "")))
        content += table(("field", "is", ""), rows) if rows else tag("p", self.kind(schema))
        return tag("section", content, id=f"schema-{name}")

    # -- operations -------------------------------------------------------------------------

    def contents(self, node):
        out = ""
        for kind, content in node.get("content", {}).items():
            schema = content.get("schema", {})
            link = ": " + self.kind(schema) if "$ref" in schema else ""
            out += tag("p", tag("code", text(kind)) + link)
            for name, value in self.examples_of(content).items():
                out += (tag("p", text(name), class_="name") if name else "") + sample(value)
        return out

    def parameters(self, operation):
        parameters = [self.at(one) for one in operation.get("parameters", [])]
        rows = [(tag("code", text(p["name"])) + (" <em>required</em>" if p.get("required") else ""),
                 text(p["in"]), prose(p.get("description", ""))) for p in parameters]
        return table(("parameter", "in", ""), rows) if rows else ""

    def request(self, operation):
        if "requestBody" not in operation:
            return ""
        return tag("h4", "Request") + self.contents(self.at(operation["requestBody"]))

    def answer(self, status, response):
        response = self.at(response)
        names = ", ".join(tag("code", text(name)) for name in response.get("headers", {}))
        line = tag("strong", text(status)) + " " + prose(response["description"])
        line += f" ({names})" if names else ""
        body = self.contents(response)
        return tag("details", tag("summary", line) + body) if body else tag("p", line)

    def key(self, name):
        scheme = self.document["components"]["securitySchemes"][name]
        where = "Authorization: Bearer"
        if scheme["type"] == "apiKey":
            where = scheme["name"] if scheme["in"] == "header" else f"Cookie: {scheme['name']}"
        return tag("code", text(where)) + " " + prose(scheme["description"])

    def keys(self, operation):
        keys = [self.key(name) for option in operation["security"] for name in option]
        return tag("p", "Key: " + (" or ".join(keys) if keys else "none"))

    def operation(self, method, path, operation):
        title = tag("h2", tag("span", method, class_="method") + " " + tag("code", text(path)))
        body = tag("p", tag("strong", text(operation["summary"])) + ". " +
                   prose(operation["description"]))
        answers = "".join(self.answer(*one) for one in operation["responses"].items())
        body += self.keys(operation) + self.parameters(operation) + self.request(operation)
        return tag("section", title + body + tag("h4", "Answers") + answers,
                   id=operation["operationId"])

    # -- the page ---------------------------------------------------------------------------

    def nav(self):
        links = ""
        for group in self.document["tags"]:
            items = [tag("a", f"{method} {text(path)}", href=f"#{o['operationId']}")
                     for method, path, o in self.operations() if group["name"] in o["tags"]]
            links += tag("h2", text(group["name"]))
            links += tag("ul", "".join(tag("li", item) for item in items))
        return links

    def render(self, address, other, other_text):
        info = self.document["info"]
        schemas = self.document["components"]["schemas"].items()
        return PAGE.format(
            title=text(info["title"]), version=text(info["version"]), summary=text(info["summary"]),
            address=text(address), other=text(other), other_text=text(other_text),
            description=prose(info["description"]), nav=self.nav(),
            operations="\n".join(self.operation(*one) for one in self.operations()),
            schemas="\n".join(self.schema(*one) for one in schemas))


def main(source, target, address, other):
    with open(source, encoding="utf-8") as file:
        page = Page(json.load(file)).render(address, *other.split("=", 1))
    with open(target, "w", encoding="utf-8") as file:
        file.write(page)


if __name__ == "__main__":
    main(*sys.argv[1:])
