"""`madi bench chat`: many calls at once by our client, against the endpoint's own client one call after the other.

The endpoint is a process on this machine that takes 200 ms a call. Both sides ask the same with pictures and a schema,
and must get the same answers; the other side's time is of a tenth of the calls, told for all.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
from time import perf_counter

import numpy as np

from madi import images
from madi.bench.clock import Row, hold
from madi.chat import run as chats
from madi.chat.ask import Answer, Request, read
from madi.errors import MadiError
from madi.mllms import Mllm

LATENCY, TENTH = 0.2, 10
SIDE = 256  # px


class Number(Answer):
    """What the endpoint makes of a prompt."""

    number: int


def measure(calls: int, at_once: int, repeats: int) -> list[Row]:
    """Row `at_once`: median seconds of `calls` calls. Errors: MadiError where the answers differ."""
    picture = images.encode_png(np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
    process = subprocess.Popen([sys.executable, "-m", "madi.bench.chat"], stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip()
        os.environ.setdefault("MADI_BENCH_KEY", "none")
        times: tuple[list[float], list[float]] = [], []
        for turn in range(repeats + 1):
            for which, (work, count) in enumerate(((ours, calls), (theirs, calls // TENTH))):
                start = perf_counter()
                got = work(url, count, picture, at_once, turn)
                if got != [number + turn for number in range(count)]:
                    raise MadiError("an answer is another than was given", "bench", "the same from both")
                if turn:
                    times[which].append((perf_counter() - start) * calls / count)
    finally:
        process.kill()
    row = Row("at_once", "the endpoint's client, call by call", *map(float, map(np.median, times)), 0.0, tokens=calls)
    hold([row], 0)
    return [row]


def ours(url: str, count: int, picture: bytes, at_once: int, turn: int) -> list[int]:
    settings = Mllm(kind="endpoint", model="m", url=url, key="MADI_BENCH_KEY", at_once=at_once)
    asked = (Request(f"{n}", f"number {n + turn}", Number, (picture,)) for n in range(count))
    return [reply.value.number for _, reply in chats.open_chat(settings, None).ask(asked, count, "bench")]


def theirs(url: str, count: int, picture: bytes, at_once: int, turn: int) -> list[int]:
    import openai

    client = openai.OpenAI(base_url=url, api_key="none")
    shown = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(picture).decode()}"}}
    found = []
    for n in range(count):
        content = [shown, {"type": "text", "text": f"number {n + turn}"}]
        answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": content}])
        found.append(read(answer.choices[0].message.content, Number).number)
    return found


async def endpoint() -> None:
    """Answer every prompt with the number in it, `LATENCY` seconds later; the address is the first line printed."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(re.search(rb"content-length: (\d+)", head, re.I)[1]))
                number = int(re.search(rb"number (\d+)", body)[1])
                await asyncio.sleep(LATENCY)
                data = json.dumps(completion(json.dumps({"number": number}))).encode()
                head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
                writer.write(head.encode() + data)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0, backlog=256, limit=2**20)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


def completion(text: str) -> dict:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    used = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": used}


if __name__ == "__main__":
    asyncio.run(endpoint())
