"""docs/openapi-admin.json: it says what the admin listener's table of routes says, and each of its
operations is replayed: the answer is of the type, the shape and the status that stand beside it."""

import contextlib
import copy
import json
import re
import time
from urllib.parse import quote

import jsonschema
import pytest

from support import admin, publisher
from support import description as described
from support import server as program
from support.answers import clicked
from support.description import Description, shape
from support.http import Conn
from support.world import unique

DESCRIPTION = Description(described.load(described.ADMIN_PATH))
SIGNED = [{"adminKey": []}, {"session": []}]
# What no request can provoke by itself; tests/reports sees the sums being counted.
OF_THE_DATA = {"report_busy"}
STREAMS_MAX = 24


@pytest.fixture(scope="module")
def routes():
    return json.loads(program.cli("help", "serve", "--routes"))["admin_routes"]


# -- the document by itself, and against the table --------------------------------------------


def test_it_is_sound():
    assert DESCRIPTION.document["openapi"] == "3.1.0"
    for reference in DESCRIPTION.references():
        assert DESCRIPTION.at({"$ref": reference}), reference
    names = [operation["operationId"] for _, _, operation in DESCRIPTION.operations()]
    assert len(names) == len(set(names))
    for schema in DESCRIPTION.document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_it_is_of_this_version():
    assert program.cli("--version").split()[1] == DESCRIPTION.document["info"]["version"]


def test_every_example_is_what_its_schema_says():
    for *_, response in DESCRIPTION.responses():
        for value in DESCRIPTION.examples(response).values():
            DESCRIPTION.check(DESCRIPTION.json_of(response)["schema"], value)


def is_of_row(path, row):
    begin = row["path"].removesuffix("*")
    return path.startswith(begin) and len(path) > len(begin) if row["path"] != begin else \
        path == begin


def route_differences(description, routes):
    """The paths, methods and keys against the table."""
    out, seen = [], set()
    for method, path, operation in description.operations():
        rows = [row for row in routes if row["method"] == method and is_of_row(path, row)]
        if not rows:
            out.append(f"{method} {path} is described and no route")
            continue
        seen.add(rows[0]["path"])
        signed = rows[0]["auth"] == "admin"
        if operation["security"] != (SIGNED if signed else []):
            out.append(f"{method} {path} takes another key")
        for status in ("401", "429"):
            if signed and status not in operation["responses"]:
                out.append(f"{method} {path}: {status} is not described")
        if method == "POST" and "403" not in operation["responses"]:
            out.append(f"{method} {path}: 403 is not described")
    return out + [f"{row['path']} is a route and not described" for row in routes
                  if row["path"] not in seen]


def test_it_says_what_the_table_says(routes):
    assert route_differences(DESCRIPTION, routes) == []


def lie_about(paths, kind):
    if kind == "a path more":
        paths["/nowhere"] = paths["/metrics"]
    elif kind == "a path less":
        del paths["/v1/keys"]
    elif kind == "every report less":
        for path in [path for path in paths if path.startswith("/v1/reports/")]:
            del paths[path]
    elif kind == "no key":
        paths["/metrics"]["get"]["security"] = []
    elif kind == "another method":
        paths["/session"]["get"] = paths["/session"].pop("post")
    else:
        del paths["/session/end"]["post"]["responses"]["403"]


@pytest.mark.parametrize("kind", ["a path more", "a path less", "every report less", "no key",
                                  "another method", "a status less"])
def test_a_lie_about_the_table_is_found(routes, kind):
    document = copy.deepcopy(DESCRIPTION.document)
    lie_about(document["paths"], kind)
    assert route_differences(Description(document), routes)


# -- the operations, replayed -----------------------------------------------------------------


class Recorded(admin.Listener):
    """With an event of every kind, all of one ad."""

    def __init__(self):
        super().__init__()
        self.record()

    def record(self):
        world = self.world
        ad = world.mint(poll_id=publisher.new_poll(world), **publisher.FACTS | {
            "publisher_id": "pub-1", "currency": "USD"})
        world.follow(ad["view_url"])
        world.convert(clicked(world.follow(ad["url"]))[1])
        publisher.send_feedback(world, publisher.feedback(ad["bidId"]))
        publisher.rate(world, publisher.rating(ad, sentiment="thumbs_down", comment="No, thanks",
                                               reasons=["too_many_ads"]))
        publisher.vote(world, ad)

    def ask(self, *request, **options):
        """With its key unless told."""
        return super().ask(*request, **{"key": self.key, **options})


@pytest.fixture(scope="module")
def listener():
    made = Recorded()
    yield made
    made.world.close()


def is_as_described(answer, response):
    contents = response.get("content", {})
    kind = (answer.header("content-type") or "").split(";")[0]
    assert (kind in contents) if contents else not answer.body, answer
    if kind == "application/json":
        DESCRIPTION.check(contents[kind]["schema"], answer.json)
    for name, header in response.get("headers", {}).items():
        value = answer.header(name)
        schema = DESCRIPTION.at(header)["schema"]
        DESCRIPTION.check(schema, int(value) if schema.get("type") == "integer" else value)


def operations(method, is_wanted=lambda path: True):
    return [pytest.param(path, operation, id=f"{method} {path}")
            for m, path, operation in DESCRIPTION.operations() if m == method and is_wanted(path)]


def is_stream(path):
    response = DESCRIPTION.at(DESCRIPTION.document["paths"][path]["get"]["responses"]["200"])
    return "text/event-stream" in response["content"]


@pytest.mark.parametrize("path, operation", operations("GET", lambda path: not is_stream(path)))
def test_a_page_answers_as_described(listener, path, operation):
    response = DESCRIPTION.at(operation["responses"]["200"])
    answer = listener.judge("GET", path.replace("{file}", "icon.svg"))
    assert answer.status == 200, answer
    is_as_described(answer, response)
    for example in DESCRIPTION.examples(response).values():
        if path != "/v1/keys":
            assert shape(answer.json) == shape(example)
    assert listener.judge("HEAD", path.replace("{file}", "icon.svg")).status == 200


def reports():
    return [(path, operation) for _, path, operation in DESCRIPTION.operations()
            if path.startswith("/v1/reports/")]


@pytest.mark.parametrize("path, operation", reports())
def test_a_report_takes_each_of_its_parameters(listener, path, operation):
    response = DESCRIPTION.at(operation["responses"]["200"])
    for parameter in map(DESCRIPTION.at, operation["parameters"]):
        name, example = parameter["name"], parameter["example"]
        value = quote(str(example[0] if isinstance(example, list) else example))
        answer = listener.judge("GET", f"{path}?{name}={value}")
        wanted = 422 if path.endswith("comments") and name == "by" else 200
        assert answer.status == wanted, (name, answer)
        is_as_described(answer, DESCRIPTION.at(operation["responses"][str(wanted)]))
    for kind in response["content"]:
        form = {"application/json": "json", "text/csv": "csv", "text/plain": "text"}[kind]
        is_as_described(listener.judge("GET", f"{path}?format={form}"), response)


def test_the_kinds_and_parameters_of_reports_are_those_the_server_names(listener):
    said = listener.judge("GET", "/v1/reports/nothing").json["detail"]
    kinds = [path.removeprefix("/v1/reports/") for path, _ in reports()]
    assert sorted(re.findall(r"\w+", said.partition(" is ")[2].replace(" or ", " "))) == \
        sorted(kinds)
    said = listener.judge("GET", "/v1/reports/traffic?nothing=1").json["detail"]
    names = re.findall(r"[\w-]+", said.partition(" takes ")[2].replace(" and ", " "))
    for _, operation in reports():
        assert sorted(DESCRIPTION.at(p)["name"] for p in operation["parameters"]) == sorted(names)


def test_the_columns_of_reports_are_those_described(listener):
    """Each report with all that it can be split by, as a head of CSV."""
    for path, operation in reports():
        content = DESCRIPTION.at(operation["responses"]["200"])["content"]["application/json"]
        row = DESCRIPTION.at(content["schema"])["properties"]["rows"]["items"]["properties"]
        found = set()
        by = [""] if path.endswith("comments") else \
            [f"&by=campaign,publisher,product,placement,advertiser,{time}" for time in
             ("day", "hour")]
        for one in by:
            answer = listener.judge("GET", f"{path}?format=csv{one}")
            found |= set(answer.body.decode().splitlines()[0].split(","))
            rows = listener.judge("GET", f"{path}?format=json{one}")
            is_as_described(rows, DESCRIPTION.at(operation["responses"]["200"]))
        assert found == set(row), path


# -- streams ----------------------------------------------------------------------------------


@contextlib.contextmanager
def watching(listener, path):
    with Conn(listener.port) as conn:
        conn.send(admin.request(listener.port, "GET", path, key=listener.key))
        yield conn


def first_event(conn):
    """The head, and the first event as JSON."""
    received = b""
    while b"\n\n" not in received.partition(b"\r\n\r\n")[2]:
        received += conn.sock.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    return head, json.loads(body.partition(b"\n\n")[0].removeprefix(b"data: "))


@pytest.mark.parametrize("path, operation", operations("GET", is_stream))
def test_a_stream_sends_what_is_described(listener, path, operation):
    content = operation["responses"]["200"]["content"]["text/event-stream"]
    filters = "?outcome=recorded" if path == "/v1/tail" else ""
    with watching(listener, path + filters) as conn:
        time.sleep(0.3)
        listener.record()
        head, event = first_event(conn)
    assert head.startswith(b"HTTP/1.1 200") and b"text/event-stream" in head
    DESCRIPTION.check(content["x-events"][""], event)


def test_tail_takes_the_filters_that_the_command_takes():
    operation = DESCRIPTION.document["paths"]["/v1/tail"]["get"]
    usage = program.cli("help", "tail").split("\n\n")[1]
    names = set(re.findall(r"--([a-z]+) [A-Z]", usage)) - {"data"}
    assert {DESCRIPTION.at(p)["name"] for p in operation["parameters"]} == names


# -- sessions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path, operation", operations("POST"))
@pytest.mark.parametrize("kind, status", [("application/json", "204"),
                                          ("application/x-www-form-urlencoded", "303")])
def test_a_browser_signs_in_and_out_as_described(listener, path, operation, kind, status):
    body = f"key={listener.key}" if status == "303" else json.dumps({"key": listener.key})
    answer = listener.judge("POST", path, ("Content-Type", kind), key=None, body=body.encode())
    assert answer.status == int(status)
    is_as_described(answer, DESCRIPTION.at(operation["responses"][status]))


def test_a_file_that_the_browser_has_is_not_sent_again(listener):
    etag = listener.judge("GET", "/assets/icon.svg").header("etag")
    answer = listener.judge("GET", "/assets/icon.svg", ("If-None-Match", etag))
    assert answer.status == 304
    is_as_described(answer, DESCRIPTION.document["paths"]["/assets/{file}"]["get"]["responses"]["304"])


# -- each refusal, provoked -------------------------------------------------------------------


def without_key(listener, method, path):
    return listener.judge(method, path, key=None)


def with_a_wrong_key(listener, method, path):
    if method == "POST":
        return listener.judge(method, path, ("Content-Type", "application/json"), key=None,
                              body=b'{"key":"wrong"}')
    return listener.judge(method, path, key="wrong")


def too_often(listener, method, path):
    for _ in range(20):
        body = b'{"key":"wrong"}' if method == "POST" else b""
        answer = admin.ask(listener.port, method, path, key="wrong", body=body)
        if answer.status == 429:
            return answer
    return answer


def of_another_site(listener, method, path):
    return listener.judge(method, path, ("Origin", "https://evil.example"), key=None)


def with_a_wrong_parameter(listener, method, path):
    name = "route" if path == "/v1/tail" else unique("x")
    return listener.judge(method, f"{path}?{name}=nothing")


def with_many_streams(listener, method, path):
    with contextlib.ExitStack() as stack:
        for _ in range(STREAMS_MAX):
            conn = stack.enter_context(watching(listener, "/v1/live"))
            first_event(conn)
        return listener.judge(method, path)


def no_such_file(listener, method, path):
    return listener.judge(method, path.replace("{file}", "nothing.js"))


PROVOKE = {"key_missing": without_key, "key_invalid": with_a_wrong_key, "too_many": too_often,
           "cross_site": of_another_site, "report_parameter": with_a_wrong_parameter,
           "tail_route": with_a_wrong_parameter, "too_many_streams": with_many_streams,
           "not_found": no_such_file}


def refusals():
    return [pytest.param(method, path, status, response, label, id=f"{method} {path} {label}")
            for method, path, _, status, response in DESCRIPTION.responses()
            if status >= 400 for label in DESCRIPTION.examples(response)
            if label not in OF_THE_DATA]


@pytest.mark.parametrize("method, path, status, response, label", refusals())
def test_a_refusal_is_the_one_described(listener, method, path, status, response, label):
    answer = PROVOKE[label](listener, method, path)
    assert answer.status == status, answer
    is_as_described(answer, response)
    assert answer.json == DESCRIPTION.examples(response)[label]
