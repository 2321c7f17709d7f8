import pytest
pytestmark = pytest.mark.postgres

def test_a(database): assert database.is_current()
def test_b(database): assert database.is_current()
def test_c(empty_database): assert not empty_database.is_current()
