"""Builders of data sets in exactly the form in which they are published, a few rows each, awkward ones among them."""

import functools
import io
import json
import struct as struct_
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def pixels(seed, side=48, channels=3):
    """Natural-looking content: a smooth ground with a few discs."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    ground = rng.uniform(60, 190, channels) + 50 * np.sin(4 * x * rng.uniform(0.5, 2) + rng.uniform(0, 6))[..., None]
    for _ in range(3):
        cx, cy, r = *rng.uniform(0.2, 0.8, 2), rng.uniform(0.08, 0.2)
        ground[(x - cx) ** 2 + (y - cy) ** 2 < r**2] = rng.uniform(0, 255, channels)
    return (ground + rng.normal(0, 3, ground.shape)).clip(0, 255).astype(np.uint8)


def encoded(seed, form="PNG", mode="RGB", side=48) -> bytes:
    image = Image.fromarray(pixels(seed, side))
    if mode == "I;16":
        image = Image.fromarray(pixels(seed, side)[..., 0].astype(np.uint16) * 257)
    elif mode != "RGB":
        image = image.convert(mode)
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def mask(side=48) -> bytes:
    image = np.zeros((side, side), np.uint8)
    image[side // 4 : side // 2, side // 4 : side // 2] = 255
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def holed(seed=0, side=48, bright=True) -> bytes:
    """A mask as MagicBrush holds it: the source, transparent where `mask` is white. What is below the hole is kept."""
    image = np.dstack([pixels(seed, side), np.full((side, side), 255, np.uint8)])
    image[..., :3] = image[..., :3] // 4 + (190 if bright else 0)
    image[side // 4 : side // 2, side // 4 : side // 2, 3] = 0
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def struct(data: bytes | None, path: str | None = None) -> dict | None:
    return None if data is None else {"bytes": data, "path": path}


def parquet(path, columns: dict[str, tuple[pa.DataType, list]], row_group=2):
    """A Parquet file with these columns, small row groups as in large published ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([(name, kind) for name, (kind, _) in columns.items()])
    table = pa.table({name: pa.array(values, kind) for name, (kind, values) in columns.items()}, schema)
    pq.write_table(table, path, row_group_size=row_group)
    return path


NUMBERS = ("clip_sim_source", "clip_sim_target", "clip_sim_dir", "clip_sim_image", "dinov2_sim", "ssim")


def ultraedit(folder, kind="FreeForm", count=4, shard=0, of=1, side=48, seed=0, masks=None, prompts=None, forms=None):
    """A shard of UltraEdit_500k (12 columns, no mask), of the 4 M set (null masks), or of the region set (masks)."""
    here = range(seed, seed + count)
    forms = forms or [("JPEG", "RGB")] * count
    columns = {name: (pa.float64(), [0.5] * count) for name in NUMBERS}
    columns |= {
        "source_caption": (pa.string(), [f"a field with disc {n}" for n in here]),
        "target_caption": (pa.string(), [f"a field with a red disc {n}" for n in here]),
        "idx": (pa.int64(), [n - seed + shard * 1000 for n in here]),
        "edit_prompt": (pa.string(), prompts or [f"What if disc {n} were red?" for n in here]),
        "source_image": (IMAGE, [struct(encoded(2 * n, *f, side), f"{n}.jpg") for n, f in zip(here, forms)]),
        "edited_image": (IMAGE, [struct(encoded(2 * n + 1, side=side)) for n in here]),
    }
    if kind == "RegionBase":
        columns["edit_object"] = (pa.string(), ["disc"] * count)
        columns["mask_image"] = (IMAGE, [struct(m) for m in (masks or [mask(side)] * count)])
    elif kind.startswith("FreeForm_"):
        columns |= {name: (pa.null(), [None] * count) for name in ("edit_object", "mask_image")}
    return parquet(folder / "data" / f"{kind}-{shard:05}-of-{of:05}.parquet", columns)


def magicbrush(folder, turns=((1, 2), (2, 1)), old=False, side=48):
    """Rows by (session, turns), the later turns first, to show that order is not relied on."""
    made = [(f"{100 + s}", t) for s, count in turns for t in range(count, 0, -1)]
    names = ("input_img", "output_img") if old else ("source_img", "target_img")
    shown = {key: encoded(n, "PNG", "RGBA" if n == 0 else "RGB", side) for n, key in enumerate(made)}
    first = {session: encoded(50 + n, side=side) for n, (session, _) in enumerate(made)}
    columns = {
        "img_id": (pa.string(), [s for s, _ in made]),
        "turn_index": (pa.int32(), [t for _, t in made]),
        names[0]: (IMAGE, [struct(shown.get((s, t - 1), first[s])) for s, t in made]),
        "instruction": (pa.string(), [f"change {s} at {t}" for s, t in made]),
        names[1]: (IMAGE, [struct(shown[s, t]) for s, t in made]),
    }
    if not old:
        columns["mask_img"] = (IMAGE, [struct(holed(n, side)) for n, _ in enumerate(made)])
    return parquet(folder / "data" / "train-00000-of-00051.parquet", columns)


class Locked:
    """A zip whose members are stored under a password by PKWARE's old cipher, which the standard library only reads
    (APPNOTE 6.1); of val.zip and test.zip."""

    TABLE = [functools.reduce(lambda c, _: (c >> 1) ^ (0xEDB88320 if c & 1 else 0), range(8), n) for n in range(256)]

    def __init__(self, path, password: bytes):
        self.path, self.password, self.members = path, password, []

    def __enter__(self):
        return self

    def writestr(self, name: str, data: bytes | str):
        self.members.append((name.encode(), data.encode() if isinstance(data, str) else data))

    def __exit__(self, *fault):
        body, directory = b"", b""
        for name, data in self.members:
            check = zlib.crc32(data)
            locked = self.cipher(bytes(11) + bytes([check >> 24]) + data)
            facts = struct_.pack("<HHHHHIIIHH", 20, 1, 0, 0, 33, check, len(locked), len(data), len(name), 0)
            directory += b"PK\1\2" + struct_.pack("<H", 20) + facts
            directory += struct_.pack("<HHHII", 0, 0, 0, 0, len(body)) + name
            body += b"PK\3\4" + facts + name + locked
        count = len(self.members)
        end = struct_.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)
        self.path.write_bytes(body + directory + b"PK\5\6" + end)

    def cipher(self, plain: bytes) -> bytes:
        keys = [0x12345678, 0x23456789, 0x34567890]

        def turn(byte):
            keys[0] = (keys[0] >> 8) ^ self.TABLE[(keys[0] ^ byte) & 255]
            keys[1] = ((keys[1] + (keys[0] & 255)) * 134775813 + 1) & 0xFFFFFFFF
            keys[2] = (keys[2] >> 8) ^ self.TABLE[(keys[2] ^ (keys[1] >> 24)) & 255]

        for byte in self.password:
            turn(byte)
        out = bytearray()
        for byte in plain:
            mix = (keys[2] | 2) & 0xFFFF
            out.append(byte ^ ((mix * (mix ^ 1)) >> 8) & 255)
            turn(byte)
        return bytes(out)


def magicbrush_zip(path, local="local_descriptions.json", password=b"MagicBrush", seed=0):
    """The layout of val.zip, under its password."""
    turns = [
        {"input": "7-input.png", "mask": "7-mask1.png", "output": "7-output1.png", "instruction": "add a disc"},
        {"input": "7-output1.png", "mask": "7-mask2.png", "output": "7-output2.png", "instruction": "make it red"},
        {"input": "8-input.png", "mask": "8-mask1.png", "output": "8-gone.png", "instruction": "lost"},
    ]
    whole = {"7": {"7-input.png": "a field", "7-output1.png": "a disc", "7-output2.png": "a red disc"}, "8": {}}
    with Locked(path, password) as file:
        for number, name in enumerate(("input", "output1", "output2")):
            file.writestr(f"val/images/7/7-{name}.png", encoded(seed + number))
        file.writestr("val/images/8/8-input.png", encoded(seed + 9))
        for name in ("7/7-mask1", "7/7-mask2", "8/8-mask1"):
            file.writestr(f"val/images/{name}.png", holed())
        file.writestr("val/edit_turns.json", json.dumps(turns))
        file.writestr("val/edit_sessions.json", json.dumps({"7": turns[:2], "8": turns[2:]}))
        file.writestr("val/global_descriptions.json", json.dumps(whole))
        file.writestr(f"val/{local}", json.dumps({"7": {"7-output1.png": "disc", "7-output2.png": "red disc"}}))
        file.writestr("../../escape.txt", "nowhere")
    return path


def aurora(folder, side=48):
    parts = ["kubric", "ag", "magicbrush", "kubric"]
    columns = {
        "input": (IMAGE, [struct(encoded(n, side=side)) for n in range(4)]),
        "output": (IMAGE, [struct(encoded(10 + n, side=side)) for n in range(4)]),
        "instruction": (pa.string(), ["move the ball", "open the door", "add a disc", ""]),
        "source": (pa.string(), parts),
    }
    return parquet(folder / "data" / "train-00000-of-00093.parquet", columns)


def aurora_lists(folder, side=48):
    """The JSON form: kubric, and Something-Something from extracted frames."""
    for n, part in enumerate(("kubric", "something", "ag")):
        (folder / "data" / part / "images").mkdir(parents=True)
        for k in range(4):
            (folder / "data" / part / "images" / f"{k}.png").write_bytes(encoded(40 * n + k, side=side))
    frames = folder / "something-something" / "frames" / "17"
    frames.mkdir(parents=True)
    for k, name in enumerate(("first.jpg", "last.jpg")):
        (frames / name).write_bytes(encoded(90 + k, "JPEG", side=side))
    kubric = [
        {
            "instruction": ["move it left", "push it"],
            "input": "data/kubric/images/0.png",
            "output": "data/kubric/images/1.png",
        },
        {"instruction": "turn it", "input": "data/kubric/images/2.png", "output": "data/kubric/images/gone.png"},
    ]
    path = "../../change_descriptions/something-something/frames/17/{}.jpg"
    something = [
        {"instruction": "Pushing a cup left", "input": path.format("first"), "output": path.format("last")},
        {"instruction": "Pretending to push", "input": path.format("first"), "output": path.format("last")},
        {"prompt": "Lifting a cup", "input": path.format("first"), "output": path.format("last")},
    ]
    (folder / "data/kubric/train.json").write_text(json.dumps(kubric))
    (folder / "data/something/train_.json").write_text(json.dumps(something))
    (folder / "data/ag/train.json").write_text(json.dumps(kubric))
    return folder


def emu_edit(folder, split="test", count=8, generations=False, side=48, seed=0):
    """Rows 0 to 4 show five pictures under one placeholder; "a dog" stands under one picture, however often."""
    tasks = ["add", "background", "color", "global", "local", "remove", "style", "text"]
    before = ["a train station in city"] * 5 + ["a cat", "A dog.", "a bird"]
    after = [f"a scene {n}" for n in range(5)] + ["a black cat", "a dog", ""]
    columns = {
        "instruction": (pa.string(), [f"do {task}" for task in tasks]),
        "image": (IMAGE, [struct(encoded(seed + n, side=side)) for n in range(count)]),
        "task": (pa.string(), tasks),
        "split": (pa.string(), [split] * count),
        "idx": (pa.int64(), [n % 2 for n in range(count)]),
        "hash": (pa.string(), [f"h{n}" for n in range(count)]),
        "input_caption": (pa.string(), before),
        "output_caption": (pa.string(), after),
    }
    if generations:
        columns |= {
            "edited_image": (IMAGE, [struct(encoded(100 + n, side=side)) for n in range(count)]),
            "model": (pa.string(), ["emu_edit"] * count),
        }
    # in the generations' repository the rows of `test` lie in files called validation
    name = {"test": "validation", "validation": "test"}[split] if generations else split
    return parquet(folder / "data" / f"{name}-00000-of-00001.parquet", columns)


def emu_edit_of_few_pictures(folder):
    """Two pictures, six instructions each, a hash a row; the last two rows are the same but for their task."""
    tasks = ["add", "background", "color", "global", "local", "style"] * 2
    tasks[-2:] = ["local", "color"]
    columns = {
        "instruction": (pa.string(), [f"edit {n}" for n in range(11)] + ["edit 10"]),
        "image": (IMAGE, [struct(encoded(n // 6)) for n in range(12)]),
        "task": (pa.string(), tasks),
        "split": (pa.string(), ["test"] * 12),
        "idx": (pa.int64(), list(range(12))),
        "hash": (pa.string(), [f"h{n}" for n in range(12)]),
        "input_caption": (pa.string(), [f"picture {n // 6}" for n in range(12)]),
        "output_caption": (pa.string(), [f"picture {n // 6}, edited {n}" for n in range(12)]),
    }
    return parquet(folder / "data" / "test-00000-of-00001.parquet", columns)


STEP = pa.struct([("name", pa.string()), ("instruction", pa.string())])
COMPOUND = pa.struct([("reasoning", pa.string()), ("compound_instruction", pa.string())])
EDIT = pa.struct(
    [
        ("reasoning", pa.string()),
        ("original_sequence", pa.list_(STEP)),
        ("sequence", pa.list_(STEP)),
        ("compound", pa.list_(COMPOUND)),
    ]
)


def complex_edit(folder, count=2, side=48, split="test_real", seed=0):
    steps = [{"name": f"op{k}", "instruction": f"step {k}"} for k in range(8)]
    compounds = [{"reasoning": "none", "compound_instruction": f"do {k + 1} things"} for k in range(8)]
    edit = {"reasoning": "", "original_sequence": steps, "sequence": steps, "compound": compounds}
    edits = [edit, edit | {"compound": compounds[:3]}][:count]
    columns = {"image": (IMAGE, [struct(encoded(seed + n, side=side)) for n in range(count)]), "edit": (EDIT, edits)}
    return parquet(folder / "data" / f"{split}-00000-of-00001.parquet", columns)


def idea_bench(folder, first=0):
    """Six questions an `eval.json`, as an object with what 0 and 1 points stand for."""
    cases = [
        ("photo_restoration", "0001", {"image_reference": True}, 1, "0063"),
        ("couple_icon_design", "0001", {"image_reference": True}, 1, "0072"),
        ("poster", "0001", {}, 0, "0024"),
        ("font_transfer", "0002", {"image_reference": True, "multi_image_reference": True}, 2, "0064"),
        ("photo_restoration", "0002", {"image_reference": True}, 0, "0063"),
    ]
    for seed, (task, case, more, pictures, uid) in enumerate(cases, first):
        here = folder / "dataset" / f"{task}_{case}"
        here.mkdir(parents=True)
        (here / "instruction.txt").write_text(f"Do {task}.\n")
        meta = {"task_name": task.replace("_", " "), "num_of_cases": 2, "uid": uid, "case_id": case}
        meta |= {"image_reference": False, "multi_image_reference": False, "multi_image_output": False} | more
        (here / "meta.json").write_text(json.dumps(meta | {"output_image_count": 1}))
        for number in range(pictures):
            (here / f"{number + 1:04}.jpg").write_bytes(encoded(seed, "JPEG"))
        points = {f"{n}_point_standard": f"{'no' if n == 0 else 'yes'} {{}}" for n in (0, 1)}
        items = [{"question": f"q{k}"} | {name: text.format(k) for name, text in points.items()} for k in range(6)]
        (here / "eval.json").write_text(json.dumps({"questions": items}, indent=4))
        if uid != "0064":  # not of the automatic evaluation
            judged = {"input_images": ["0001.jpg"], "output_images": ["0001.jpg"], "question": f"of {task}"}
            (here / "auto_eval.jsonl").write_text("\n".join([json.dumps(judged)] * 6) + "\n")
    return folder


def geneval(folder):
    rules = [
        {"tag": "counting", "include": [{"class": "cup", "count": 3}], "exclude": [{"class": "cup", "count": 4}]},
        {
            "tag": "position",
            "include": [{"class": "cup", "count": 1}, {"class": "dog", "count": 1, "position": ["left of", 0]}],
        },
    ]
    path = folder / "prompts" / "evaluation_metadata.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(json.dumps(rule | {"prompt": f"a photo {n}"}) for n, rule in enumerate(rules)) + "\n")
    return path
