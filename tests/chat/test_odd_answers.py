"""Whatever comes back from an endpoint: an answer, a missing one with its reason, or one line, and all is counted."""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import mllm
import pytest
from test_chat import SECRET, Verdict, chat, entries, quick, request  # noqa: F401

from madi.chat import ask, faults, run, wire
from madi.errors import MadiError, Paused

PRICES = {"price_in": 1000.0, "price_out": 8000.0, "max_tokens": 60}  # one call at the most: 0.504 + 0.48


def bill(server) -> float:
    tokens_in, tokens_out = server.told("billed")
    return (tokens_in * PRICES["price_in"] + tokens_out * PRICES["price_out"]) / 1e6


def spent(path) -> float:
    return sum(entry["paid"] for entry in entries(path))


def answers(server, path, count=3, label="x", **settings):
    return [reply for _, reply in chat(server, path, **settings).ask(map(request, range(count)), count, label)]


# --- kinds 1, 2, 7: answers of other forms


@pytest.mark.parametrize("fault", mllm.BLOCKED)
def test_an_answer_without_a_usable_one_is_missing_and_its_cost_counted(tmp_path, fault):
    path = tmp_path / "a.jsonl"
    with mllm.Server({1: [fault, -1]}) as server:
        found = answers(server, path, **PRICES)
        assert [reply.status for reply in found] == ["ok", "missing", "ok"]
        assert found[1].reason and spent(path) == pytest.approx(bill(server))
        assert answers(server, path, **PRICES)[1].reason == found[1].reason and server.log().count(1) == 3


@pytest.mark.parametrize("fault", mllm.FINE)
def test_an_answer_in_another_form_is_read(tmp_path, fault):
    with mllm.Server({n: [fault, -1] for n in range(3)}) as server:
        found = answers(server, tmp_path / "a.jsonl")
        assert [reply.value and reply.value.key for reply in found] == [0, 1, 2] and len(server.log()) == 3


@pytest.mark.parametrize("fault", mllm.NOTHING)
def test_no_answer_at_all_is_tried_again(tmp_path, fault):
    path = tmp_path / "a.jsonl"
    with mllm.Server({1: [fault, 1], 2: [fault, -1]}) as server:
        found = answers(server, path, tries=2, **PRICES)
        assert [reply.status for reply in found] == ["ok", "missing" if fault == "billed 400" else "ok", "missing"]
        assert found[2].reason and spent(path) >= bill(server) - 1e-9


def test_a_run_of_blocked_requests_is_not_an_endpoint_that_is_down(tmp_path):
    faults_ = {n: [("no choices", "null message", "content filter")[n % 3], -1] for n in range(20)}
    path = tmp_path / "a.jsonl"
    with mllm.Server(faults_) as server:
        found = answers(server, path, 30, at_once=2, answers_tried=1, **PRICES)
        assert [reply.status for reply in found] == ["missing"] * 20 + ["ok"] * 10
        assert spent(path) == pytest.approx(bill(server)) and len(server.log()) == 30
        answers(server, path, 30, **PRICES)
        assert len(server.log()) == 30


GOOD = '{"key": 1, "why": "a"}'
OTHER = '{"key": 2, "why": "b"}'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"<think>{OTHER}</think>{GOOD}", 1),
        (f"<think>{OTHER}</think> and <think>{OTHER}</think>{GOOD}", 1),
        (f"{OTHER} hm {{\n</think>{GOOD}", 1),
        ("{" * 40 + f"</think>{GOOD}", 1),
        (f'{{"key": 0, "key": 1}}</think>{GOOD}', 1),
        (f"<seed:think>{OTHER}</seed:think>{GOOD}", 1),
        (f"◁think▷{OTHER}◁/think▷{GOOD}", 1),
        (f"<|begin_of_thought|>{OTHER}<|end_of_thought|>{GOOD}", 1),
        (f"{GOOD}<|end|>", 1),
        ('{"key": 1, "why": "a <think> in it </think>"}', 1),
        ('{"key": 1, "why": "</think> {"}', 1),
        (f"<think>{GOOD}</think> I cannot answer.", "no JSON"),
        (f"<think>{GOOD}", "no JSON"),
        (f"<think>x</think>{GOOD}{OTHER}", "several JSON objects"),
        ("</think>" * 3, "no JSON"),
    ],
)
def test_thoughts_are_no_answer(text, found):
    if isinstance(found, int):
        assert ask.read(text, Verdict).key == found
    else:
        with pytest.raises(ask.Unfit, match=found):
            ask.read(text, Verdict)


# --- kinds 3, 6: the account's fault, in the endpoint's words

GEMINI = {"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID"}}
QUOTA = "You exceeded your current quota, please check your plan and billing details."
ACCOUNT = [
    (402, {"error": {"message": "Insufficient Balance", "type": "unknown_error"}}),
    (402, ""),
    (429, {"error": {"message": QUOTA, "type": "insufficient_quota", "code": "insufficient_quota"}}),
    (429, {"error": {"message": QUOTA, "type": "insufficient_quota"}}),
    (429, {"error": {"message": "no", "details": [{"violations": [{"quotaId": "RequestsPerDayPerProject"}]}]}}),
    (400, {"error": {"message": "Billing hard limit has been reached", "code": "billing_hard_limit_reached"}}),
    (400, {"error": {"message": "Your credit balance is too low to access the API.", "type": "invalid_request"}}),
    (400, GEMINI),
    (400, [GEMINI]),
    (400, {"error": {"message": "Unknown parameter: 'response_format'.", "code": "unknown_parameter"}}),
    (400, {"error": {"message": "Unrecognized request argument supplied: detail"}}),
    (400, [{"error": {"message": 'Invalid JSON payload received. Unknown name "strict": Cannot find field.'}}]),
    (400, {"object": "error", "message": "Unsupported parameter: 'max_tokens' is not supported with this model."}),
    (400, {"error": {"message": "Unsupported value: 'temperature' does not support 0.0"}}),
    (422, {"detail": [{"type": "extra_forbidden", "msg": "Extra inputs are not permitted"}]}),
    (400, {"error": "The model `m` does not exist"}),
    (401, {"error": {"message": "bad key"}}),
    (403, {"message": "Your account is not active"}),
    (404, "<h1>Not Found</h1>"),
    (405, ""),
    (307, ""),
    (200, {"error": {"code": 402, "message": "Insufficient credits"}}),
    (500, {"error": {"code": "insufficient_user_quota", "message": "no more"}}),
]


@pytest.mark.parametrize(("status", "body"), ACCOUNT)
def test_a_fault_of_the_account_stops_at_once_in_the_endpoints_words_and_is_not_recorded(tmp_path, status, body):
    fault = {"status": status, "body": body if isinstance(body, str) else json.dumps(body)}
    path = tmp_path / "a.jsonl"
    with mllm.Server({n: [fault, -1] for n in range(5, 50)}) as server:
        with pytest.raises(MadiError) as told:
            answers(server, path, 50, at_once=2)
        assert len(server.log()) <= 5 + 2 and not isinstance(told.value, Paused)
    words = faults.words_of(wire.Received(status, {}, fault["body"].encode()).content, fault["body"].encode()).said
    assert "\n" not in str(told.value) and words[:60] in str(told.value)
    assert f"HTTP {402 if status == 200 else status}" in str(told.value)
    assert {entry["status"] for entry in entries(path)} == {"ok", "attempt"}


REQUESTS_OWN = [
    (400, {"error": {"message": "Your request was rejected by the safety system"}}),
    (403, {"error": {"message": "Your input was flagged", "metadata": {"reasons": ["violence"]}}}),
    (413, "too large"),
    (422, {"detail": "image cannot be decoded"}),
    (400, [{"error": {"message": "Unable to process input image"}}]),
]


@pytest.mark.parametrize(("status", "body"), REQUESTS_OWN)
def test_a_requests_own_fault_costs_that_request(tmp_path, status, body):
    fault = {"status": status, "body": body if isinstance(body, str) else json.dumps(body)}
    with mllm.Server({1: [fault, -1]}) as server:
        found = answers(server, tmp_path / "a.jsonl", at_once=1)
        assert [reply.status for reply in found] == ["ok", "missing", "ok"] and server.log().count(1) == 1
        assert found[1].reason.startswith(f"HTTP {status} (") and not found[1].reason.startswith(f"HTTP {status} ()")


@pytest.mark.parametrize("body", [{"error": {"message": QUOTA, "status": "RESOURCE_EXHAUSTED"}}, "slow down", ""])
def test_a_quota_by_the_minute_is_waited_for(tmp_path, body):
    fault = {"status": 429, "headers": {"retry-after": "0.05"}, "body": body if body == "" else json.dumps(body)}
    with mllm.Server({n: [fault, 2] for n in range(3)}) as server:
        assert {reply.status for reply in answers(server, tmp_path / "a.jsonl")} == {"ok"}


# --- kind 4: money


@pytest.mark.parametrize("fault", mllm.COUNTS)
def test_what_is_spent_is_at_least_what_is_billed(tmp_path, fault, capsys):
    path = tmp_path / "a.jsonl"
    with mllm.Server({n: [fault, -1] for n in range(3)}) as server:
        assert {reply.status for reply in answers(server, path, **PRICES)} == {"ok"}
        assert spent(path) >= bill(server) - 1e-9
        usable = mllm.odd(0)[fault][2] != (200, 60)
        assert not usable or spent(path) == pytest.approx(bill(server))
    assert ("no usable count of tokens" in capsys.readouterr().err) != usable


MIXED = [*mllm.FAULTS, *mllm.odd(0), mllm.GOOD, "429 later", "500"]


@pytest.mark.parametrize("seed", range(4))
def test_over_any_mixture_spending_covers_the_bill_and_keeps_the_budget(tmp_path, seed, monkeypatch):
    """A budget is gone beyond by no more than the calls in flight, over any number of runs."""
    draw = random.Random(seed)
    names = [name for name in MIXED if name not in ("slow drip", "hang")] + ["hang"]
    faults_ = {n: [draw.choice(names), draw.choice((1, 2, -1))] for n in range(150) if draw.random() < 0.8}
    at_once, path = draw.choice((1, 4, 16)), tmp_path / "a.jsonl"
    most = (20 * PRICES["price_in"] + 617 * PRICES["price_out"]) / 1e6  # with thoughts, more than `max_tokens`
    with mllm.Server(faults_) as server:
        for budget in (3.0, 12.0, 25.0):
            for _ in range(2):
                try:
                    answers(server, path, 150, at_once=at_once, timeout_s=0.3, tries=2, budget=budget, **PRICES)
                except Paused as end:
                    assert f"the budget of {budget:g} ends here" in str(end)
                except MadiError as end:
                    assert "in a row" in str(end)
                assert bill(server) - 1e-6 <= spent(path) <= budget + at_once * most
    kept = Counter(entry["key"] for entry in entries(path) if entry["status"] != "attempt")
    assert set(kept.values()) <= {1}


def test_calls_in_flight_set_aside_what_calls_took_so_far(tmp_path):
    """Not the most that they may: half of the money would be left over."""
    prices = {"price_in": 1.0, "price_out": 1000.0, "max_tokens": 100}  # 0.1 at the most, 0.01 as it is
    path = tmp_path / "a.jsonl"
    with mllm.Server() as server:
        with pytest.raises(Paused, match="the budget of 0.06 ends here"):
            answers(server, path, 50, budget=0.06, at_once=16, **prices)
        assert 0.04 < spent(path) <= 0.06
        with pytest.raises(Paused):
            answers(server, path, 50, budget=0.06, at_once=16, **prices)
        assert len(server.log()) == len(entries(path)) == 5


# --- kind 5: one writer

SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
import os
os.environ["MADI_TEST_KEY"] = "sk-secret-0123456789"
from test_chat import chat, request
from pathlib import Path
class Server: url = {url!r}
found = list(chat(Server, Path({path!r}), at_once=2).ask(map(request, range(12)), 12, "x"))
assert [r.status for _, r in found] == ["ok"] * 12
"""


def test_several_processes_on_one_cache_ask_each_request_once(tmp_path):
    path = tmp_path / "sub" / "a.jsonl"
    with mllm.Server(latency=0.2) as server:
        script = SCRIPT.format(folder=str(Path(__file__).parent), url=server.url, path=str(path))
        both = [subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True) for _ in range(2)]
        said = [process.communicate()[1] for process in both]
        assert [process.returncode for process in both] == [0, 0], said
        assert sorted(server.log()) == list(range(12))
    assert sum("waiting until it ends" in one for one in said) == 1 and len(entries(path)) == 12
    assert [one.name for one in path.parent.iterdir()] == ["a.jsonl"]


def test_a_killed_writer_is_not_waited_for(tmp_path):
    path = tmp_path / "a.jsonl"
    with mllm.Server(latency=0.2) as server:
        script = SCRIPT.format(folder=str(Path(__file__).parent), url=server.url, path=str(path))
        process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
        while not path.exists() or not path.read_text():
            time.sleep(0.02)
        process.kill()
        process.wait()
        start = time.monotonic()
        assert {reply.status for reply in answers(server, path, 12)} == {"ok"} and time.monotonic() - start < 5
        assert len(server.log()) <= 12 + 2


# --- kinds 8, 9, 10, 12


@pytest.mark.parametrize(
    "fault", ["content null", "cut at the most", "prose alone", "no choices", "wrong schema", "half a pair"]
)
def test_an_endpoint_whose_answers_are_all_useless_is_not_asked_on(tmp_path, fault):
    path = tmp_path / "a.jsonl"
    said = {"status": 200, "body": json.dumps(mllm.completion("I see a picture."))} if fault == "prose alone" else fault
    with mllm.Server({n: [said, -1] for n in range(300)}) as server:
        with pytest.raises(MadiError, match=f"{run.BARREN} requests in a row have no usable answer .*; see `struct"):
            answers(server, path, 300, at_once=4, **PRICES)
        assert len(server.log()) <= 3 * (run.BARREN + 4) and spent(path) == pytest.approx(bill(server))
    assert {entry["status"] for entry in entries(path)} == {"attempt"}  # nothing is held against a request
    with mllm.Server() as server:
        assert {reply.status for reply in answers(server, path, 40)} == {"ok"}


@pytest.mark.parametrize("cause", ["one sample", "one in twenty is answered", "few requests", "answered before"])
def test_useless_answers_of_few_samples_or_among_good_ones_stop_nothing_for_good(tmp_path, cause):
    path, at_once = tmp_path / "a.jsonl", {"at_once": 1, "answers_tried": 1}
    bad = {n: ["content null", -1] for n in range(100) if cause != "one in twenty is answered" or n % 20}
    with mllm.Server(bad) as server:
        if cause == "one sample":
            asked = (ask.Request("same", f"What of number {n}?", Verdict) for n in range(40))
            assert len(list(chat(server, path, **at_once).ask(asked, 40, "x"))) == 40
        elif cause == "few requests":
            assert {reply.status for reply in answers(server, path, 10, **at_once)} == {"missing"}
            assert sum(entry["status"] == "missing" for entry in entries(path)) == 10
        elif cause == "answered before":
            list(chat(server, path, **at_once).ask(map(request, range(100, 105)), 5, "x"))
            for _ in range(4):  # each run gets further: those that are missing are kept
                with pytest.raises(MadiError, match="`madi asked forget`"):
                    answers(server, path, 100, **at_once)
            assert len(server.log()) == 5 + 4 * run.BARREN
        else:
            assert [reply.status for reply in answers(server, path, 100, **at_once)].count("ok") == 5


def test_a_body_without_an_end_is_not_read_to_it(tmp_path):
    with mllm.Server({1: ["large", -1]}) as server:
        found = answers(server, tmp_path / "a.jsonl", timeout_s=20)
        assert [reply.status for reply in found] == ["ok", "missing", "ok"]
        assert found[1].reason == "an answer of more than 8 MB" and server.told("sent")[0] < 40 * 2**20


@pytest.mark.parametrize("fault", ["hang", "slow drip"])
def test_an_answer_that_drips_is_late(tmp_path, fault):
    path, start = tmp_path / "a.jsonl", time.monotonic()
    with mllm.Server({1: [fault, -1]}) as server:
        found = answers(server, path, timeout_s=0.4, tries=2, **PRICES)
        assert found[1].reason == "no answer in time" and time.monotonic() - start < 8
        assert spent(path) >= bill(server)


ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in SECRET)


@pytest.mark.parametrize("secret", [SECRET, SECRET.upper(), ESCAPED, f"Bearer {SECRET}", SECRET[:5] + ESCAPED[30:]])
@pytest.mark.parametrize("place", ["model", "content", "refusal", "error", "finish", "retry"])
def test_the_key_is_kept_nowhere(tmp_path, capfd, secret, place):
    body = mllm.completion(mllm.well(1)) | ({"model": f"m {secret}"} if place == "model" else {})
    message = body["choices"][0]["message"]
    if place == "content":
        message["content"] = f'{{"key": 1, "why": "{secret}"}}'
    elif place == "refusal":
        message["refusal"] = f"no {secret}"
    elif place == "finish":
        body["choices"][0] = {"finish_reason": secret, "message": [secret]}
    status = {"error": 400, "retry": 429}.get(place, 200)
    text = json.dumps(body if status == 200 else {"error": {"message": f"{'x' * 120} {secret}"}})
    with mllm.Server({1: [{"status": status, "body": text}, 1 if status == 429 else -1]}) as server:
        found = answers(server, tmp_path / "a.jsonl")
    kept = (tmp_path / "a.jsonl").read_text() + "".join(capfd.readouterr()) + repr(found)
    for form in (SECRET, ESCAPED, SECRET[:5] + ESCAPED[30:]):
        assert form.lower() not in kept.lower() and form.replace("\\", "\\\\").lower() not in kept.lower()


@pytest.mark.parametrize(
    ("headers", "body", "wait"),
    [
        ({"retry-after": "1"}, {}, 1.0),
        ({"retry-after": "0.5"}, {}, 0.5),
        ({"retry-after-ms": "250"}, {}, 0.25),
        ({"retry-after": "90000"}, {}, 120.0),
        ({"retry-after": "inf"}, {}, None),
        ({"retry-after": "nan"}, {}, None),
        ({"retry-after": "-5"}, {}, 0.0),
        ({"retry-after": "soon"}, {}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, {}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}, {}, 120.0),
        ({}, {"error": {"details": [{"@type": "RetryInfo", "retryDelay": "30s"}]}}, 30.0),
        ({}, {}, None),
    ],
)
def test_what_an_endpoint_asks_to_wait(headers, body, wait):
    assert faults.asked_wait(headers, faults.words_of(body)) == wait


@pytest.mark.parametrize(("asked", "own", "least", "most"), [("0.2", 30.0, 0.2, 5.0), ("1", 0.01, 1.0, 6.0)])
def test_the_pause_that_an_endpoint_asks_for_wins(tmp_path, monkeypatch, asked, own, least, most):
    monkeypatch.setattr(run, "FIRST", own)
    monkeypatch.setattr(run, "LONGEST", own)
    monkeypatch.setattr(run, "BUSY_FOR", 30.0)
    fault = {"status": 429, "headers": {"retry-after": asked}, "body": "{}"}
    start = time.monotonic()
    with mllm.Server({1: [fault, 1]}) as server:
        assert {reply.status for reply in answers(server, tmp_path / "a.jsonl")} == {"ok"}
    assert least <= time.monotonic() - start < most


# --- kind 37, and what a request says


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1", "a SOCKS proxy, which needs socksio"),
        ("HTTP_PROXY", "socks5h://127.0.0.1:1", "a SOCKS proxy, which needs socksio"),
        ("all_proxy", "socks4://127.0.0.1:1", "proxy"),
        ("HTTP_PROXY", "ftp://127.0.0.1:1", "proxy"),
        ("HTTP_PROXY", "http://[", "a proxy that cannot be used|8 requests in a row came to nothing"),
        ("HTTP_PROXY", "http://127.0.0.1:99999", "8 requests in a row came to nothing"),
        ("HTTP_PROXY", "http://127.0.0.1:1", "8 requests in a row came to nothing"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_one_line(tmp_path, monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with mllm.Server() as server, pytest.raises(MadiError, match=said) as fault:
        monkeypatch.setattr(run, "FIRST", 0.001)
        list(chat(server, tmp_path / "a.jsonl", tries=1, at_once=1).ask(map(request, range(9)), 9, "x"))
    assert "\n" not in str(fault.value) and "fault of madi" not in str(fault.value)


@pytest.mark.parametrize("structured", ["json_schema", "json_object", "prompt"])
@pytest.mark.parametrize("detail", [None, "low"])
def test_a_schema_is_asked_for_in_three_ways_and_pictures_in_a_detail(tmp_path, structured, detail):
    with mllm.Server() as server:
        talk = chat(server, None, structured=structured, detail=detail, max_tokens_as="max_completion_tokens")
        list(talk.ask([request(1, images=(b"\x89PNG1", b"\xff\xd8\xff2"), system="Be strict.")], 1, "x"))
        [body] = server.told("bodies")
    form = body.get("response_format")
    system, user = (message["content"] for message in body["messages"])
    in_words = '"additionalProperties": false' in system
    assert system.startswith("Be strict.") and ask.FENCE_RULE in system and in_words == (structured != "json_schema")
    if structured == "json_schema":
        assert form["json_schema"] == {"name": "Verdict", "schema": ask.schema_of(Verdict), "strict": True}
    assert (form or {}).get("type") == (None if structured == "prompt" else structured)
    shown = [part["image_url"] for part in user if part["type"] == "image_url"]
    assert [one["url"].split(";")[0] for one in shown] == ["data:image/png", "data:image/jpeg"]
    assert [one.get("detail") for one in shown] == [detail] * 2
    assert [part["text"] for part in user if part["type"] == "text"] == [
        "Picture 1:",
        "Picture 2:",
        "What of number 1?",
    ]
    assert body["max_completion_tokens"] == 1024 and "max_tokens" not in body and body["temperature"] == 0.0


@pytest.mark.parametrize("fault", ["400", "500"])
def test_a_small_job_whose_every_request_comes_to_nothing_stops(tmp_path, fault):
    path = tmp_path / "a.jsonl"
    with mllm.Server({n: [fault, -1] for n in range(3)}) as server:
        do = "see what it takes" if fault == "400" else "see whether it is there"
        with pytest.raises(MadiError, match=f"3 requests in a row came to nothing, last: HTTP {fault}.*{do}"):
            answers(server, path, tries=2)
    assert {entry["status"] for entry in entries(path)} == {"attempt"}
    with mllm.Server() as server:
        assert {reply.status for reply in answers(server, path)} == {"ok"}


def test_a_stop_while_only_calls_in_flight_are_left_ends_the_run(tmp_path):
    path = tmp_path / "a.jsonl"
    with mllm.Server({3: ["401", -1]}, latency=0.05) as server, pytest.raises(MadiError, match="HTTP 401"):
        answers(server, path, 4, at_once=4)
    assert sum(entry["status"] == "ok" for entry in entries(path)) == 3  # they were paid for


def test_requests_are_read_no_further_ahead_than_calls_need(tmp_path):
    read_ahead, most = [], 0
    with mllm.Server(latency=0.01) as server:
        asked = (read_ahead.append(n) or request(n) for n in range(200))
        for number, _ in enumerate(chat(server, None, at_once=2).ask(asked, 200, "x")):
            most = max(most, len(read_ahead) - number)
    assert len(read_ahead) == 200 and most <= 2 * run.AHEAD * 2
    with mllm.Server({0: ["hang", 1]}) as server:
        asked, read_ahead = (read_ahead.append(n) or request(n) for n in range(400)), []
        for _ in chat(server, None, at_once=2, timeout_s=2.0).ask(asked, 400, "x"):
            assert len(read_ahead) <= run.MOST * 2 + 1
            break


@pytest.mark.parametrize("own", [KeyError("x"), AttributeError("y"), RuntimeError("z")])
def test_a_programs_own_fault_is_raised(tmp_path, monkeypatch, own):
    async def broken(*_):
        raise own

    monkeypatch.setattr(wire, "whole", broken)
    with mllm.Server() as server, pytest.raises(type(own)):
        answers(server, None)


@pytest.mark.parametrize("name", ["ReadError", "RemoteProtocolError", "WriteError", "DecodingError", "CloseError"])
def test_a_bare_fault_of_http_passes(tmp_path, monkeypatch, name):
    import openai

    library = __import__(openai.DefaultAsyncHttpxClient.__mro__[1].__module__.split(".")[0])
    left, whole = [getattr(library, name)("x")], wire.whole

    async def broken(*arguments):
        if left:
            raise left.pop()
        return await whole(*arguments)

    monkeypatch.setattr(wire, "whole", broken)
    with mllm.Server() as server:
        assert {reply.status for reply in answers(server, None)} == {"ok"} and len(server.log()) == 4


STORED = {"key": "k", "status": "ok", "raw": "", "reason": None, "tokens_in": 1, "tokens_out": 1, "cost": 0.1}
STORED |= {"revision": "", "paid": 0.1, "calls": 1}


@pytest.mark.parametrize(
    "change",
    [{"paid": float("nan")}, {"paid": -1}, {"cost": float("inf")}, {"tokens_in": -5}, {"calls": "x"}, {"status": "no"}],
)
def test_stored_answers_with_odd_money_are_named(tmp_path, change):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(STORED) + "\n" + json.dumps(STORED | change) + "\n")
    with mllm.Server() as server, pytest.raises(MadiError, match=f"a.jsonl line 2: no stored answer .{[*change][0]}"):
        answers(server, path)
    for line in (b"\xff\xfe", b"[1]", b"null", b"{" * 5000):
        path.write_bytes(line + b"\n")
        with pytest.raises(MadiError, match="a.jsonl line 1: no stored answer"):
            chat(server, path)
