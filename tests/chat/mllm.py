"""An MLLM's endpoint on this machine, in a process of its own, that speaks the protocol and misbehaves as told.

A prompt says `number N`. `faults` names what becomes of a number: `[fault, times]`, after which it answers well; times
-1: for ever. GET /log gives the numbers of all calls, in order (-1 where a prompt says none); GET /billed the tokens
(in, out) that it bills for them, whatever its answers count; GET /sent the bytes of its longest body; GET /bodies what
it was sent, GET /temperatures at which.

What it is asked without a number, it answers by the schema alone: the first word of an enumeration, the second for the
next, and so on. `obedient`: it gives the last word instead, if the prompt says "give 10" outside of a fence.
"""

import asyncio
import json
import re
import subprocess
import sys
import urllib.request

GOOD = "good"
FAULTS = [
    "429", "429 later", "500", "hang", "cut", "wrong schema", "prose", "refusal", "empty", "wrong language",
    "key twice", "slow drip", "content filter",
]  # fmt: skip


class Server:
    """Starts the process. faults: by number; latency: seconds of each call."""

    def __init__(self, faults=None, latency=0.0, echo=False, obedient=False):
        told = json.dumps({"faults": faults or {}, "latency": latency, "echo": echo, "obedient": obedient})
        self.process = subprocess.Popen([sys.executable, __file__, told], stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def log(self) -> list[int]:
        return self.told("log")

    def told(self, what):
        with urllib.request.urlopen(self.url.replace("/v1", f"/{what}")) as answer:
            return json.load(answer)

    def temperatures(self) -> list[float]:
        return self.told("temperatures")


def well(number: int) -> str:
    return json.dumps({"key": number % 6, "why": f"it is number {number}"})


def filled(schema, whole, turn=0, last=False):
    """A value of a JSON schema. turn: which word of an enumeration; last: the last one."""
    if "$ref" in schema:
        return filled(whole["$defs"][schema["$ref"].split("/")[-1]], whole, turn, last)
    if "enum" in schema:
        return schema["enum"][-1 if last else turn % len(schema["enum"])]
    if schema["type"] == "object":
        return {name: filled(part, whole, turn, last) for name, part in schema["properties"].items()}
    if schema["type"] == "array":
        return [filled(schema["items"], whole, turn, last) for turn in range(schema["minItems"])]
    return f"word {turn}" if schema["type"] == "string" else 1


def ordered(body) -> bool:
    """Whether the prompt says "give 10" outside of a fence."""
    words = "".join(part.get("text", "") for part in body["messages"][-1]["content"])
    return "give 10" in re.sub(r"<data (\w+)>.*?</data \1>", "", words, flags=re.S)


USED = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}


def completion(text, finish="stop", used=USED, **more):
    message = {"role": "assistant", "content": text} | more
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "x", "object": "chat.completion", "created": 0, "model": "m-2026", "choices": [choice], "usage": used}


def of(fault, number) -> tuple[int, dict, dict]:
    """(status, headers, body) of an answer under a fault."""
    error = {"error": {"message": "no", "type": "x"}}
    if fault.startswith("429"):
        return 429, {"retry-after": "0.05"} if fault == "429 later" else {}, error
    if fault in ("500", "400", "401", "404"):
        return int(fault), {}, error
    said = {
        "wrong schema": json.dumps({"key": 17, "why": "much"}),
        "prose": f"Certainly! Here it is:\n```json\n{well(number)}\n```\nAnything else?",
        "empty": "",
        "wrong language": json.dumps({"key": number % 6, "why": "这是一张很好的图片"}, ensure_ascii=False),
        "key twice": '{"key": 1, "key": 5, "why": "both"}',
    }
    if fault == "refusal":
        return 200, {}, completion(None, refusal="I will not.")
    if fault == "content filter":
        return 200, {}, completion("", "content_filter")
    return 200, {}, completion(said.get(fault, well(number)))


def counted(number, used) -> dict:
    """A good answer with such a count of tokens; None: with none."""
    answer = completion(well(number), used=used)
    return answer if used is not None else {name: value for name, value in answer.items() if name != "usage"}


def odd(number) -> dict:
    """By name: (status, body, tokens that are billed) of answers of other forms, most of which endpoints have given. A
    body that is a text is sent as it is."""
    return {name: answer for group in groups(number) for name, answer in group.items()}


def groups(number) -> tuple[dict, dict, dict, dict]:
    """Those without a usable answer, those with one in another form, with another count of tokens, and no answers."""
    good, whole = well(number), completion(well(number))
    used = {"usage": USED}
    choice = whole["choices"][0]
    content = lambda value: whole | {"choices": [choice | {"message": {"role": "assistant", "content": value}}]}  # noqa: E731
    ended = lambda reason, message=None: whole | {"choices": [{"finish_reason": reason, "message": message}]}  # noqa: E731
    blocked = {
        "null message": ended("content_filter"),
        "no choices": whole | {"choices": []},
        "null choices": whole | {"choices": None},
        "no key choices": used,
        "choices a mapping": whole | {"choices": {"0": choice}},
        "choice a text": whole | {"choices": ["no"]},
        "choice null": whole | {"choices": [None]},
        "message a text": ended("stop", good),
        "message a number": ended("stop", 5),
        "no message": whole | {"choices": [{"finish_reason": "stop"}]},
        "content a number": content(5),
        "content null": content(None),
        "parts of no text": content([{"type": "image_url", "image_url": {"url": "x"}}]),
        "safety": ended("SAFETY", {"content": None}),
        "cut at the most": ended("MAX_TOKENS", {"content": good[:5]}),
        "half a pair": content("\ud800"),
    }
    fine = {
        "parts": content([{"type": "text", "text": good[:9]}, {"type": "text", "text": good[9:]}]),
        "parts with thoughts": content([{"type": "thinking", "text": "{}"}, {"type": "text", "text": good}]),
        "parts of texts": content([good[:9], good[9:]]),
        "one part of output": content([{"type": "output_text", "text": good}]),
        "think": content(f"<think>{{maybe}} {well(number + 1)}</think>\n{good}"),
        "think closed only": content(f"Let me see {well(number + 1)} and {{so}} on.\n</think>\n{good}"),
        "thinking": content(f"<Thinking>\n{well(number + 2)}\n</Thinking>{good}"),
        "brackets": content(f"[THINK]{well(number + 1)}[/THINK]{good}"),
        "channel": content(
            f"<|channel|>analysis<|message|>{well(number + 1)}<|end|><|start|>assistant"
            f"<|channel|>final<|message|>{good}"
        ),
        "model null": whole | {"model": None},
        "model a list": whole | {"model": [1]},
        "in a list": [whole],
        "null reason": ended(None, {"content": good}),
    }
    counts = {
        "thoughts uncounted": ({"prompt_tokens": 20, "completion_tokens": 12, "total_tokens": 637}, (20, 617)),
        "thoughts beside": (
            {"prompt_tokens": 20, "completion_tokens": 12, "completion_tokens_details": {"reasoning_tokens": 400}},
            (20, 412),
        ),
        "total alone": ({"prompt_tokens": 100, "total_tokens": 160}, (100, 60)),
        "other names": ({"input_tokens": 90, "output_tokens": 30}, (90, 30)),
        "completion null": ({"prompt_tokens": 100, "completion_tokens": None, "total_tokens": 150}, (100, 50)),
        "no usage": (None, (200, 60)),
        "usage a text": ("much", (200, 60)),
        "usage a list": ([1, 2], (200, 60)),
        "usage empty": ({}, (200, 60)),
        "prompt null": ({"prompt_tokens": None, "completion_tokens": 5, "total_tokens": 150}, (200, 60)),
        "negative": ({"prompt_tokens": 100, "completion_tokens": -5, "total_tokens": 95}, (200, 60)),
        "negative prompt": ({"prompt_tokens": -100, "completion_tokens": 5}, (200, 60)),
        "negative total": ({"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": -1}, (200, 60)),
        "not a number": ({"prompt_tokens": float("nan"), "completion_tokens": 5}, (200, 60)),
        "endless": ({"prompt_tokens": 100, "completion_tokens": float("inf")}, (200, 60)),
        "halves": ({"prompt_tokens": 100.5, "completion_tokens": 5}, (200, 60)),
        "huge": ({"prompt_tokens": 10**30, "completion_tokens": 5}, (200, 60)),
        "zeros": ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, (200, 60)),
        "words for nothing": ({"prompt_tokens": 100, "completion_tokens": 0, "total_tokens": 100}, (200, 60)),
    }
    nothing = {
        "html": (200, "<html><title>Sign in</title><script>x</script></html>", (0, 0)),
        "no body": (200, "", (200, 60)),
        "half a body": (200, json.dumps(whole)[:-9], (100, 10)),
        "a number": (200, "5", (0, 0)),
        "nested": (200, "[" * 100_000, (0, 0)),
        "an empty object": (200, {}, (0, 0)),
        "error with 200": (200, {"error": {"message": "overloaded", "code": 503}}, (0, 0)),
        "billed error with 200": (200, {"error": {"message": "lost"}} | used, (100, 10)),
        "gateway": (504, "<h1>Gateway Time-out</h1>", (200, 60)),
        "billed 500": (500, {"error": {"message": "lost"}} | used, (100, 10)),
        "billed 400": (400, {"error": {"message": "unsafe"}} | used, (100, 10)),
    }
    ours = [{name: (200, body, (100, 10)) for name, body in group.items()} for group in (blocked, fine)]
    return *ours, {name: (200, counted(number, used), billed) for name, (used, billed) in counts.items()}, nothing


BLOCKED, FINE, COUNTS, NOTHING = map(list, groups(0))
FREE = {"429", "429 later", "500", "400", "401", "404"}


def price(fault, number) -> tuple[int, int]:
    """The tokens that are billed for an answer."""
    if isinstance(fault, dict):
        return (100, 10) if fault["status"] == 200 else (0, 0)
    return (0, 0) if fault in FREE else odd(number).get(fault, (0, 0, (100, 10)))[2]


async def serve(told):
    billed, longest, bodies = [0, 0], [0], []
    calls, sampled, left = [], [], {int(number): list(fault) for number, fault in told["faults"].items()}

    async def one(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            asked = {b"billed": billed, b"sent": longest, b"bodies": bodies, b"temperatures": sampled}
            return answer(writer, 200, {}, asked.get(head.split(b" ")[1][1:], calls))
        length = int(re.search(rb"content-length: (\d+)", head, re.I)[1])
        body = json.loads(await reader.readexactly(length))
        words = body["messages"][-1]["content"]
        text = words if isinstance(words, str) else words[-1]["text"]
        found = re.search(r"number (\d+)", text)
        number = int(found[1]) if found else -1
        calls.append(number)
        sampled.append(body.get("temperature"))
        bodies[:] = [*bodies[-9:], body]
        fault, times = left.get(number, [GOOD, 0])
        if times == 0:
            fault = GOOD
        elif times > 0:
            left[number][1] -= 1
        if told["latency"]:
            await asyncio.sleep(told["latency"])
        bill(price(fault, number))
        if fault == "hang":
            return await asyncio.sleep(60)
        if fault == "large":
            return await flood(writer)
        if isinstance(fault, dict):
            return answer(writer, fault["status"], fault.get("headers", {}), fault["body"])
        if fault in odd(number):
            return answer(writer, odd(number)[fault][0], {}, odd(number)[fault][1])
        status, more, found = of(fault, number)
        if number < 0 and fault == GOOD:
            schema = body["response_format"]["json_schema"]["schema"]
            last = told["obedient"] and ordered(body)
            found = completion(json.dumps(filled(schema, schema, last=last)))
        if told["echo"]:
            sent = re.search(rb"authorization: ([^\r]*)", head, re.I)[1].decode()
            found = completion(json.dumps({"key": 1, "why": f"you sent {sent}"}))
            if status != 200:
                found = {"error": {"message": f"bad {sent}"}}
        answer(writer, status, more, found, fault)
        if fault == "slow drip":
            for byte in json.dumps(found).encode():
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.2)

    def bill(tokens):
        billed[:] = [before + more for before, more in zip(billed, tokens)]

    async def flood(writer):
        """A body of 500 MB, as far as it is read."""
        writer.write(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 524288000\r\n\r\n")
        for count in range(500):
            writer.write(b" " * 2**20)
            await writer.drain()
            longest[0] = max(longest[0], (count + 1) * 2**20)

    def answer(writer, status, more, found, fault=GOOD):
        data = found.encode() if isinstance(found, str) else json.dumps(found).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n"
        writer.write((head + "".join(f"{k}: {v}\r\n" for k, v in more.items()) + "\r\n").encode())
        if fault == "cut":
            writer.write(data[: len(data) // 2])
            writer.close()
        elif fault != "slow drip":
            writer.write(data)

    async def client(reader, writer):
        try:
            while not writer.is_closing():
                await one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0, backlog=256)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
