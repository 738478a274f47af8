import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import server as program  # noqa: E402  (the path comes first)


@pytest.fixture(scope="session", autouse=True)
def there_is_a_program():
    program.require()
