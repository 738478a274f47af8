"""docs/openapi*.json are OpenAPI 3.1 to a validator that is not ours.

`npm ci` in this folder installs it; without it these tests are skipped, and fail where CI=true.
"""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
DOCS = HERE.parent.parent / "docs"
DOCUMENT = DOCS / "openapi.json"


@pytest.fixture(scope="module", autouse=True)
def there_is_a_validator():
    if shutil.which("node") and (HERE / "node_modules" / "@seriousme").is_dir():
        return
    if os.environ.get("CI") == "true":
        pytest.fail("the validator is not installed: npm ci in tests/interop")
    pytest.skip("the validator is not installed")


def validate(path):
    done = subprocess.run(["node", HERE / "openapi.mjs", path], capture_output=True, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout.strip()


@pytest.mark.parametrize("path", sorted(DOCS.glob("openapi*.json")), ids=lambda path: path.name)
def test_the_description_is_openapi(path):
    assert validate(path) == (0, "OpenAPI 3.1")


@pytest.mark.parametrize("change", ["no title", "a parameter nowhere", "a response that is none"])
def test_a_description_that_is_not_is_found(tmp_path, change):
    document = json.loads(DOCUMENT.read_text())
    if change == "no title":
        del document["info"]["title"]
    elif change == "a parameter nowhere":
        document["components"]["parameters"]["P"]["in"] = "body"
    else:
        document["paths"]["/ack"]["get"]["responses"]["200"] = "a pixel"
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document))
    code, text = validate(path)
    assert code == 1 and text.startswith("["), text
