from collections import Counter
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from config import integrity
from tests.test_integrity import *
@pytest.mark.django_db
@pytest.mark.usefixtures("rule")
def test_zz():
    def q():
        with CaptureQueriesContext(connection) as c:
            for _ in integrity.run(): pass
        return Counter(x["sql"][:150] for x in c.captured_queries)
    a=q(); b=q()
    for _ in range(2):
        make_ready_hold()
    d=q()
    print("AB", a-b, b-a)
    print("BD", b-d, d-b)
    assert 0
