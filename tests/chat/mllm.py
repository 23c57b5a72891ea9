"""An MLLM's endpoint on this machine, in a process of its own, that speaks the protocol and misbehaves as told.

A prompt says `number N`. `faults` names what becomes of a number: `[fault, times]`, after which it answers well; times
-1: for ever. GET /log gives the numbers of all calls, in order (-1 where a prompt says none), GET /temperatures theirs.

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
        with urllib.request.urlopen(self.url.replace("/v1", "/log")) as answer:
            return json.load(answer)

    def temperatures(self) -> list[float]:
        with urllib.request.urlopen(self.url.replace("/v1", "/temperatures")) as answer:
            return json.load(answer)


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


def completion(text, finish="stop", **more):
    message = {"role": "assistant", "content": text} | more
    choice = {"index": 0, "message": message, "finish_reason": finish}
    used = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
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


async def serve(told):
    calls, sampled, left = [], [], {int(number): list(fault) for number, fault in told["faults"].items()}

    async def one(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            return answer(writer, 200, {}, sampled if b"temperatures" in head.split(b"\r")[0] else calls)
        length = int(re.search(rb"content-length: (\d+)", head, re.I)[1])
        body = json.loads(await reader.readexactly(length))
        words = body["messages"][-1]["content"]
        text = words if isinstance(words, str) else words[-1]["text"]
        found = re.search(r"number (\d+)", text)
        number = int(found[1]) if found else -1
        calls.append(number)
        sampled.append(body.get("temperature"))
        fault, times = left.get(number, [GOOD, 0])
        if times == 0:
            fault = GOOD
        elif times > 0:
            left[number][1] -= 1
        if told["latency"]:
            await asyncio.sleep(told["latency"])
        if fault == "hang":
            return await asyncio.sleep(60)
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

    def answer(writer, status, more, found, fault=GOOD):
        data = json.dumps(found).encode()
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
