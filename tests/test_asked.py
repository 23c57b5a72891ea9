"""What models answered, looked into; failures asked again and no answer lost."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "chat"))
import mllm  # noqa: E402
from test_chat import SECRET, chat, request  # noqa: E402

from madi.cli import main  # noqa: E402


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MADI_TEST_KEY", SECRET)
    monkeypatch.setattr("madi.chat.run.FIRST", 0.01)
    return tmp_path / "asked/answers/ft.jsonl"


def test_what_failed_is_told_and_can_be_asked_again(cache, capsys):
    prices = {"price_in": 1.0, "price_out": 1.0, "answers_tried": 1}
    with mllm.Server({3: ["refusal", 1], 4: ["empty", 1]}) as server:
        list(chat(server, cache, **prices).ask(map(request, range(6)), 6, "x"))
        assert main(["asked", "show", str(cache.parents[1])]) == 0
        told = capsys.readouterr().out
        assert "1 missing: refused (such as n3)" in told and "0.0007" in told and SECRET not in told
        assert main(["asked", "forget", str(cache.parents[1])]) == 0 and "2 forgotten" in capsys.readouterr().out
        talk = chat(server, cache, **prices)
        assert talk.cache.calls == 6 and talk.cache.spent == pytest.approx(660e-6)  # what was paid stays counted
        assert all(reply.status == "ok" for _, reply in talk.ask(map(request, range(6)), 6, "x"))
        assert sorted(server.log()) == [0, 1, 2, 3, 3, 4, 4, 5]


def test_nothing_asked_is_one_line(tmp_path, capsys):
    assert main(["asked", "show", str(tmp_path)]) == 2
    assert "no answers" in capsys.readouterr().err
