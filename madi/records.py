"""The records that stages meet in: the only place that names a column.

A key is a dictionary-encoded string. An image is `struct<bytes, path>` marked as an `Image` feature, so that the
`datasets` library shows it unaided. A field that is not nullable must be in every row. No record holds a clock, a host
or a duration: equal work gives equal bytes.
"""

import hashlib
import json

import pyarrow as pa

KEY = pa.dictionary(pa.int32(), pa.string())
TEXT, NUMBER, REAL = pa.string(), pa.int32(), pa.float64()
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
IMAGES = pa.list_(pa.field("item", IMAGE))
TEXTS = pa.list_(pa.field("item", TEXT))
ORIGIN = pa.struct([("file", TEXT), ("row", pa.int64()), ("revision", TEXT)])
OPTIONS = pa.list_(pa.field("item", pa.struct([("key", NUMBER), ("text", TEXT)])))


def feature(kind: pa.DataType) -> object:
    """The `datasets` feature of an Arrow type, as the JSON that `datasets` keeps in a file's metadata."""
    if kind == IMAGE:
        return {"_type": "Image"}
    if pa.types.is_list(kind):
        return {"feature": feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: feature(field.type) for field in kind}
    if pa.types.is_dictionary(kind):
        return feature(kind.value_type)
    return {"dtype": {"double": "float64"}.get(str(kind), str(kind)), "_type": "Value"}


def record(**columns: pa.DataType | tuple) -> pa.Schema:
    """A schema from `name=type`; `name=(type, None)` may be null."""
    fields = []
    for name, kind in columns.items():
        optional = isinstance(kind, tuple)
        kind = kind[0] if optional else kind
        # `datasets` knows an image by its feature only where Arrow lets the field be null: `required` says it instead.
        fields.append(pa.field(name, kind, optional or kind == IMAGES, None if optional else {"required": "yes"}))
    features = {field.name: feature(field.type) for field in fields}
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def required(field: pa.Field) -> bool:
    """Whether every row must have a value in this column."""
    return b"required" in (field.metadata or {})


SAMPLE = record(
    sample_id=KEY,
    set=KEY,
    split=KEY,
    group_id=KEY,  # source image or session: the unit of bootstrap and sharding
    task=(KEY, None),
    complexity=(NUMBER, None),
    turn=(NUMBER, None),
    follows=(KEY, None),  # the sample whose edit is this one's source
    sources=IMAGES,
    target=(IMAGE, None),
    region=(IMAGE, None),  # a mask as it was published: `images.region` says where to edit
    instruction=TEXT,
    source_caption=(TEXT, None),
    target_caption=(TEXT, None),
    target_caption_local=(TEXT, None),
    spec=(TEXT, None),  # JSON: GenEval rule, scene truth, IDEA items, Complex-Edit operations
    phash=TEXT,  # of the first source, else of the target, else empty
    sha256=TEXT,  # over the bytes of the sources, then of the target
    origin=ORIGIN,
)

PLAN = record(sample_id=KEY, plan=TEXTS, provider=KEY, model=KEY, prompt_sha=KEY, status=KEY, reason=(TEXT, None))

LATENT = record(
    sample_id=KEY,
    role=KEY,  # source_1, source_2, ..., target, masked_1
    shard=KEY,  # file name of the safetensors file, from the index's folder
    name=TEXT,  # of the tensor in it: mean and standard deviation, 2 x channels x h x w
    h=NUMBER,
    w=NUMBER,
    sha256=TEXT,  # of the tensor's bytes
)

EDIT_KEY = dict(editor=KEY, benchmark=KEY, sample_id=KEY, pause=NUMBER, seed=NUMBER)

EDIT = record(
    **EDIT_KEY,
    edit_id=TEXT,
    status=KEY,  # ok | failed | refused
    reason=(TEXT, None),
    image=(IMAGE, None),
    image_sha=(TEXT, None),
    width=NUMBER,
    height=NUMBER,
    prompt=TEXT,
    tokens=NUMBER,
    rope=KEY,
    sampler_steps=NUMBER,
    guidance_text=REAL,
    guidance_image=REAL,
    weights_sha=(KEY, None),
    config_sha=KEY,
)

QUESTION = record(
    question_id=KEY,
    sample_id=KEY,
    tag=KEY,  # IF | IDP | PQ
    text=TEXT,
    options=OPTIONS,  # key 0..max_key from worst to best, and -1: cannot tell
    max_key=NUMBER,
    judge=KEY,
    prompt_sha=KEY,
)

ANSWER = record(
    **EDIT_KEY,
    protocol=KEY,
    question_id=KEY,
    rollout=NUMBER,
    judge=KEY,
    revision=KEY,
    temperature=REAL,
    order=KEY,
    prompt_sha=KEY,
    key=(NUMBER, None),
    value=(REAL, None),
    status=KEY,  # ok | undecided | missing
    reason=(TEXT, None),
    raw=TEXT,
    tokens_in=NUMBER,
    tokens_out=NUMBER,
    cost=REAL,
)

SCORE = record(
    **EDIT_KEY,
    metric=KEY,
    against=KEY,  # source | target | global_caption | local_caption | truth | judge
    backend=KEY,  # model@sha of its weights
    value=(REAL, None),
    status=KEY,  # ok | excluded | missing
    reason=(TEXT, None),
    score_id=TEXT,
)

CELL = record(
    table=KEY,
    block=KEY,
    row=KEY,
    column=KEY,
    label=TEXT,
    kind=KEY,  # scores | config | samples | edits | reported
    value=(REAL, None),
    text=TEXT,
    low=(REAL, None),
    high=(REAL, None),
    n=NUMBER,
    excluded=NUMBER,
    missing=NUMBER,
    reported=(TEXT, None),
    reported_value=(REAL, None),
    query=TEXT,  # JSON
    digest=TEXT,  # over its scores and their images
)

LINEAGE = record(
    cell_id=KEY,
    score_id=TEXT,
    edit_id=TEXT,
    score=TEXT,  # its value and status when the cell was made
    image=TEXT,  # first 16 digits of the edit's image_sha when the cell was made; empty where it has no image
)


def record_id(*parts: object) -> str:
    """16 hex digits that name these parts; numbers and strings are told apart, NumPy scalars count as plain ones."""
    line = json.dumps(parts, ensure_ascii=False, separators=(",", ":"), default=lambda value: value.item())
    return hashlib.sha256(line.encode()).hexdigest()[:16]


def edit_id(row: dict) -> str:
    """The id of an edit (or of the edit that a score or an answer speaks of)."""
    return record_id("edit", *(row[name] for name in EDIT_KEY))


def score_id(row: dict) -> str:
    """The id of a score: its edit's key, the metric, what it was held against, and the backend."""
    return record_id("score", *(row[name] for name in EDIT_KEY), row["metric"], row["against"], row["backend"])


def cell_id(row: dict) -> str:
    """The id of a table's cell."""
    return record_id("cell", *(row[name] for name in ("table", "block", "row", "column")))


def question_id(row: dict) -> str:
    """The id of a question: its sample, its words and its options."""
    options = [[option["key"], option["text"]] for option in row["options"]]
    return record_id("question", row["sample_id"], row["tag"], row["text"], options)
