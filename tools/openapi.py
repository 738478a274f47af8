"""What docs/openapi*.json use of OpenAPI, for who makes pages of them and for who tests them."""


class Document:
    """One OpenAPI document. A reference that leads nowhere is a KeyError."""

    def __init__(self, document):
        self.document = document

    def at(self, node):
        """The node itself, or what its $ref points to."""
        while "$ref" in node:
            target = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = target
        return node

    def operations(self):
        """(method, path, operation), in the document's order."""
        return [(method.upper(), path, operation)
                for path, item in self.document["paths"].items()
                for method, operation in item.items()]

    def examples_of(self, content):
        """name -> value of one media type; an unnamed example is called ""."""
        if "example" in content:
            return {"": content["example"]}
        return {name: self.at(example)["value"]
                for name, example in content.get("examples", {}).items()}
