import pytest

from support import server as program


@pytest.fixture(scope="session", autouse=True)
def there_is_a_program():
    program.require()
