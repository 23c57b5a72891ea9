import pickle

from madi.errors import MadiError


def test_one_line_in_order():
    fault = MadiError("found\n 3", "a.yaml line 2", "4", "count again")
    assert str(fault) == "a.yaml line 2: found 3; expected 4; count again"
    assert str(MadiError("found 3")) == "found 3"
    assert str(MadiError("found 3", do="count again")) == "found 3; count again"


def test_survives_another_process():
    fault = MadiError("found 3", where="x", expected=4, do="count")
    assert str(pickle.loads(pickle.dumps(fault))) == str(fault)
