import pytest

from support import server as program


@pytest.fixture(scope="session", autouse=True)
def there_is_a_program():
    program.require()


@pytest.fixture(scope="module")
def violations(request):
    """How many tests of this module have failed, for its line of the report."""
    before = request.session.testsfailed
    return lambda: request.session.testsfailed - before
