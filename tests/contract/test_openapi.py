"""docs/openapi.json: it says what the tables of the program say, and each of its examples is
replayed against the server: the request gets the answer that stands beside it."""

import copy
import json
from urllib.parse import parse_qsl, urlsplit

import jsonschema
import pytest

from support import description as described
from support import publisher, tokens
from support import server as program
from support.description import Description, shape
from support.http import Conn, build
from support.world import ABSENT, World, unique

DESCRIPTION = Description()
TOKEN = "v4.local.TOKEN"
PURPOSES = {"/api/v1/tracking/view": "view_url", "/ack": "impUrl", "/track/imp": "impUrl",
            "/api/v1/tracking/redirect": "url", "/track/click": "clickUrl",
            publisher.VOTE: "vote_url", publisher.RESULTS: "results_url"}
# What no request can provoke by itself; test_full_disk*.py and test_starting.py see them answered.
OF_THE_DISK = {"unavailable", "server_error", "starting", "degraded"}


@pytest.fixture(scope="module")
def tables():
    return json.loads(program.cli("help", "serve", "--routes"))


@pytest.fixture(scope="module")
def sources():
    folder = program.REPO / "src" / "api"
    return {name: (folder / name).read_text() for name in described.PAGES}


# -- the document by itself, and against the tables ------------------------------------------


def test_it_is_sound():
    document = DESCRIPTION.document
    assert document["openapi"] == "3.1.0"
    for reference in DESCRIPTION.references():
        assert DESCRIPTION.at({"$ref": reference}), reference
    names = [operation["operationId"] for _, _, operation in DESCRIPTION.operations()]
    assert len(names) == len(set(names))
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_it_is_of_this_version():
    assert program.cli("--version").split() == ["adtally", DESCRIPTION.document["info"]["version"]]


def test_every_example_is_what_its_schema_says():
    nodes = [operation["requestBody"] for _, _, operation in DESCRIPTION.operations()
             if "requestBody" in operation]
    nodes += [response for *_, response in DESCRIPTION.responses()]
    for node in nodes:
        for value in DESCRIPTION.examples(node).values():
            DESCRIPTION.check(DESCRIPTION.json_of(node)["schema"], value)


COMPARISONS = [described.route_differences, described.refusal_differences,
               described.status_differences, described.type_differences]


@pytest.mark.parametrize("differences", COMPARISONS)
def test_it_says_what_the_tables_say(tables, differences):
    assert differences(DESCRIPTION, tables) == []


def test_it_names_the_fields_that_the_pages_read(sources):
    assert described.field_differences(DESCRIPTION, sources) == []


def lie_about(document, kind):
    """Changes one fact of the document."""
    components, paths = document["components"], document["paths"]
    if kind == "a path more":
        paths["/nowhere"] = paths["/ack"]
    elif kind == "a path less":
        del paths["/track/imp"]
    elif kind == "another key":
        paths["/v1/mint"]["post"]["security"] = []
    elif kind == "no rate":
        del paths["/ack"]["get"]["responses"]["429"]
    elif kind == "another text":
        components["examples"]["detail.click_not_found"]["value"] = {"detail": "No click"}
    elif kind == "a refusal less":
        del components["examples"]["poll.method"]
    elif kind == "another status":
        answers = paths["/v1/api/conversion"]["post"]["responses"]
        answers["410"] = answers.pop("404")
    elif kind == "another dialect":
        paths["/ad-feedback"]["post"]["responses"]["429"] = components["responses"]["RateLimited"]
    else:
        components["schemas"]["Problem"]["properties"]["type"]["enum"].pop()


@pytest.mark.parametrize("kind", ["a path more", "a path less", "another key", "no rate",
                                  "another text", "a refusal less", "another status",
                                  "another dialect", "a type less"])
def test_a_lie_about_the_tables_is_found(tables, kind):
    document = copy.deepcopy(DESCRIPTION.document)
    lie_about(document, kind)
    liar = Description(document)
    assert [d for differences in COMPARISONS for d in differences(liar, tables)]


def test_a_field_too_many_is_found(sources):
    document = copy.deepcopy(DESCRIPTION.document)
    document["components"]["schemas"]["Event"]["properties"]["colour"] = {"type": "string"}
    assert described.field_differences(Description(document), sources)


# -- the examples, replayed ------------------------------------------------------------------


@pytest.fixture(scope="module")
def described_world():
    world = World()
    yield world
    world.close()


class Request:
    """An operation's example with what lives in this server in the places of the example's ids."""

    def __init__(self, world, method, path, operation):
        self.world, self.method, self.path, self.operation = world, method, path, operation
        self.ad = self.fresh_ad()
        self.query = self.parameters("query")
        self.headers = {"Host": world.host, **self.parameters("header"), **self.key()}
        self.body = self.example_body()
        if self.body is not None:
            self.headers["Content-Type"] = "application/json"

    def fresh_ad(self):
        poll = publisher.new_poll(self.world)
        ad = self.world.mint(publisher_id="pub-1", poll_id=poll, bid_id=unique("bid"))
        self.world.follow(ad["view_url"])
        return ad

    def live(self, parameter):
        """An example's value as this server knows it."""
        if parameter["example"] == TOKEN:
            return publisher.token_of(self.ad[PURPOSES[self.path]])
        return unique("order") if parameter["name"] == "Idempotency-Key" else parameter["example"]

    def parameters(self, place):
        all_of_them = [DESCRIPTION.at(p) for p in self.operation.get("parameters", [])]
        return {p["name"]: self.live(p) for p in all_of_them if p["in"] == place}

    def key(self):
        schemes = [name for one in self.operation["security"] for name in one]
        if schemes == ["publisherKey"]:
            return {"X-API-Key": publisher.publisher_key(self.world.data)}
        keys = {"partnerKey": self.world.partner, "adserverKey": self.world.adserver}
        return {"Authorization": f"Bearer {keys[name]}" for name in schemes}

    def example_body(self):
        if "requestBody" not in self.operation:
            return None
        (body,) = DESCRIPTION.examples(self.operation["requestBody"]).values()
        body = copy.deepcopy(body)
        alive = {"click_id": lambda: self.world.click(), "impUrl": lambda: self.ad["impUrl"],
                 "bid_id": lambda: self.ad["bidId"], "order_id": unique, "event_id": unique}
        return {k: alive[k]() if k in alive else v for k, v in body.items()}

    def target(self):
        query = "&".join(f"{k}={v}" for k, v in self.query.items())
        return self.path + ("?" + query if query else "")

    def bytes(self):
        body = self.body
        if body is None:
            body = b""
        elif not isinstance(body, bytes):
            body = json.dumps(body).encode()
        headers = list(self.headers.items())
        if self.method == "POST":
            headers.append(("Content-Length", str(len(body))))
        return build(self.method, self.target(), headers, body)

    def send(self):
        with Conn(self.world.port) as conn:
            conn.send(self.bytes())
            return conn.read(self.method)


def is_as_described(answer, response):
    """Type, body and headers of an answer are those that the response names."""
    contents = response.get("content", {})
    kind = (answer.header("content-type") or "").split(";")[0]
    assert (kind in contents) if contents else not answer.body, answer
    if kind == "application/json":
        DESCRIPTION.check(contents[kind]["schema"], answer.json)
    for name, header in response.get("headers", {}).items():
        value = answer.header(name)
        assert value, f"no {name}: {answer!r}"
        schema = DESCRIPTION.at(header)["schema"]
        DESCRIPTION.check(schema, int(value) if schema.get("type") == "integer" else value)


def successes():
    return [pytest.param(*one, id=f"{one[0]} {one[1]}") for one in DESCRIPTION.responses()
            if one[3] < 400]


@pytest.mark.parametrize("method, path, operation, status, response", successes())
def test_an_example_gets_the_answer_beside_it(described_world, method, path, operation, status,
                                              response):
    request = Request(described_world, method, path, operation)
    answer = request.send()
    assert answer.status == status, answer
    is_as_described(answer, response)
    examples = DESCRIPTION.examples(response)
    if "duplicate" in examples:
        assert answer.json == examples["recorded"]
        assert request.send().json == examples["duplicate"]
    elif examples:
        (example,) = examples.values()
        assert shape(answer.json) == shape(example)


def test_a_shape_tells_a_field_more_and_another_type():
    assert shape({"a": 1, "b": [{"c": "x"}]}) == shape({"a": 2.5, "b": [{"c": "y"}, {}]})
    assert shape({"a": 1}) != shape({"a": 1, "b": 1})
    assert shape({"a": 1}) != shape({"a": "1"})
    assert shape({"a": True}) != shape({"a": 1})


# -- each refusal, provoked ------------------------------------------------------------------


def without_key(request, _):
    request.headers.pop("Authorization")


def with_a_wrong_key(request, _):
    name = "X-API-Key" if "X-API-Key" in request.headers else "Authorization"
    request.headers[name] = "Bearer wrong" if name == "Authorization" else "wrong"


def too_large(request, _):
    limit = 1024 * 1024 if request.path == "/v1/mint" else 64 * 1024
    request.body = b" " * (limit + 1)


def not_valid(request, status):
    """A wrong type, or, where that is 400, nothing at all; on seed 004's page it is the header."""
    if status == 422:
        first = DESCRIPTION.json_of(request.operation["requestBody"])["schema"]
        request.body[DESCRIPTION.at(first)["required"][0]] = 1
    elif request.path == "/api/conversion":
        request.headers["Idempotency-Key"] = "two words"
    else:
        request.body = {}


def no_such(field, value):
    def change(request, _):
        request.body[field] = value

    return change


def without_bid(request, _):
    token = tokens.forge(request.world.data, bid=None)
    answer = request.world.get(f"/api/v1/tracking/redirect?token={token}")
    query = dict(parse_qsl(urlsplit(answer.header("location")).query))
    request.body["click_id"] = query["thrad_click_id"]


def with_a_bad_token(request, _):
    request.query = {name: "bad" for name in request.query}


def without_token(request, _):
    request.query = {}


def second_time(request, _):
    assert request.send().status == 200


def too_often(request, _):
    """Rates are off by default: this server has one, of a request a second."""
    for _ in range(40):
        if request.path == "/ad-feedback":
            request.body["comment"] = unique()
        if request.send().status == 429:
            return


PROVOKE = {
    "bearer_missing": without_key, "key_invalid": with_a_wrong_key, "too_large": too_large,
    "validation": not_valid, "click_not_found": no_such("click_id", "no-such-click"),
    "click_without_bid": without_bid, "impression_not_found": no_such("bid_id", "no-such-bid"),
    "invalid_imp_url": no_such("impUrl", "https://ads.example/ack?p=bad"),
    "not_found": with_a_bad_token, "token_missing": without_token,
    "token_invalid": with_a_bad_token, "option": no_such("option_id", "no-such-option"),
    "second_vote": second_time, "rate_limited": too_often,
}


def refusals():
    return [pytest.param(method, path, operation, status, response, label,
                         id=f"{method} {path} {status} {label}")
            for method, path, operation, status, response in DESCRIPTION.responses()
            if status >= 400 for label in DESCRIPTION.examples(response)
            if label not in OF_THE_DISK]


@pytest.mark.parametrize("method, path, operation, status, response, label", refusals())
def test_a_refusal_is_the_one_described(described_world, world_with, method, path, operation,
                                        status, response, label):
    world = described_world
    if label == "rate_limited" and path != "/ad-feedback":
        world = world_with("--rate-limit" if operation["security"] else "--client-rate-limit", 1)
    request = Request(world, method, path, operation)
    PROVOKE[label](request, status)
    answer = request.send()
    assert answer.status == status, answer
    is_as_described(answer, response)
    if label != "validation":
        assert answer.json == DESCRIPTION.examples(response)[label]


# -- each field ------------------------------------------------------------------------------


def wrong_type(schema):
    """A value of another type, and the type of the problem that tells it; None: any will do."""
    kinds = schema.get("type")
    if "enum" in schema:
        return "no-such-value", "literal_error"
    if schema.get("format") == "date-time":
        return "yesterday", "datetime_invalid"
    if schema.get("pattern") == "^[A-Za-z]{3}$":
        return "ZZZ", "currency_invalid"
    if kinds == ["string", "number"]:
        return True, "number_type"
    return {"string": (1, "string_type"), "integer": ("1", "int_type"),
            "object": (1, "object_type"), "number": ("1", "number_type"),
            "array": (1, "array_type")}.get(kinds, (None, None))


def past_the_bound(schema):
    """A value just past a bound that the schema names, or None."""
    if "maxLength" in schema and "format" not in schema:
        return "x" * (schema["maxLength"] + 1), "string_too_long"
    if schema.get("format") == "uri":
        return "http://" + "x" * schema["maxLength"], "string_too_long"
    if "maximum" in schema:
        return schema["maximum"] + 1, "value_error"
    if "minimum" in schema:
        return schema["minimum"] - 1, "value_error"
    if "maxItems" in schema and schema["items"].get("type") == "string":
        return ["x"] * (schema["maxItems"] + 1), "value_error"
    return None


def fields():
    """(method, path, operation, field, value, problem): one per thing that is said of a field."""
    out = []
    for method, path, operation in DESCRIPTION.operations():
        if "requestBody" not in operation or path == publisher.VOTE:
            continue
        schema = DESCRIPTION.at(DESCRIPTION.json_of(operation["requestBody"])["schema"])
        if path == "/v1/mint":
            schema = DESCRIPTION.schema("AdToMint")
        for name, field in schema["properties"].items():
            cases = [(ABSENT, "missing")] if name in schema["required"] else []
            cases += [one for one in (wrong_type(field), past_the_bound(field))
                      if one and one[1]]
            out += [pytest.param(method, path, operation, name, *case,
                                 id=f"{path} {name} {case[1]}") for case in cases]
    return out


@pytest.mark.parametrize("method, path, operation, name, value, problem", fields())
def test_a_field_is_as_described(described_world, method, path, operation, name, value, problem):
    request = Request(described_world, method, path, operation)
    holder = request.body["ads"][0] if path == "/v1/mint" else request.body
    holder[name] = None if value is ABSENT else value
    answer = request.send()
    assert answer.status in (400, 422), answer
    if path == "/ad-feedback":
        assert [f["field"] for f in answer.json["fields"]] == [name], answer
    else:
        (found,) = answer.json["detail"]
        assert (found["loc"][-1], found["type"]) == (name, problem), answer
