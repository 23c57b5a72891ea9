"""Operations by formula against those that torch counts while the work is done, and against published times."""

from functools import partial

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from madi.cost import machine, model, shapes
from madi.cost.shapes import OMNIGEN, SDXL, Net, Prompt, Vae, noise, prompt
from madi.model import attention, flops
from madi.model.runs import runs
from madi.model.sampler import Sampler

BASE = "assets/tiny/omnigen"
WORDS = "make the large red circle blue"


@pytest.fixture(scope="module")
def weights():
    from madi.model.checkpoint import load

    return load(BASE)


@pytest.fixture(autouse=True)
def one_call_a_run(monkeypatch):
    """Neighbouring runs do not share a masked call, so that no pair is looked at for nothing but in causal text."""
    monkeypatch.setattr(attention.calls, "__defaults__", (None, 0))


def counted(work) -> int:
    """What torch counts: matrix products and convolutions, attention taken apart into its own."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        work()
    return counter.get_total_flops()


def half_of_text(net, some) -> int:
    """What a causal run's mask hides, which is computed all the same where no kernel skips it."""
    hidden = sum((r.end - r.begin) * r.end - flops.seen([r]) for r in some if r.causal)
    return 4 * net.num_layers * net.hidden_size * hidden


def net_of(stock) -> Net:
    names = [name for name in vars(OMNIGEN) if name != "origin"]
    return Net(**{name: getattr(stock.config, name) for name in names}, origin="test")


@pytest.mark.parametrize("sources", [0, 1, 2])
def test_a_forward_pass_is_what_torch_counts_in_the_blocks(weights, sources):
    packed, images = weights.packed, [torch.zeros(8, 16, 16)] * sources
    made = weights.tokens.prompt(WORDS, images)
    trunk = []

    def watched(*args, **kwargs):
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            out = type(packed).trunk(packed, *args, **kwargs)
        trunk.append(counter.get_total_flops())
        return out

    packed.trunk = watched
    try:
        with torch.no_grad():
            packed(torch.zeros(1, 8, 16, 16), torch.zeros(1), [made])
    finally:
        del packed.trunk
    net = net_of(packed.stock)
    own = model.forward(net, Prompt(len(made), tuple(made.slots)), 64)
    assert trunk == [own + half_of_text(net, runs(len(made), made.slots, 64))]


def test_a_training_step_is_what_torch_counts(weights):
    packed, net = weights.packed, net_of(weights.packed.stock)
    made = weights.tokens.prompt(WORDS, [torch.zeros(8, 16, 16)])

    def step():
        packed(torch.zeros(1, 8, 16, 16), torch.zeros(1), [made]).square().sum().backward()

    found = counted(step)
    packed.stock.zero_grad()
    samples = [("edit", 1.0, Prompt(len(made), tuple(made.slots)))]
    own = model.training(net, samples, 64, recomputed=False) + 3 * half_of_text(net, runs(len(made), made.slots, 64))
    assert own == pytest.approx(found, rel=0.02)  # embeddings of patches and time are not counted
    again = model.training(net, samples, 64, recomputed=True)
    assert again == pytest.approx(4 / 3 * model.training(net, samples, 64, recomputed=False))


@pytest.mark.parametrize("pauses", [(0,), (0, 8), (0, 8, 16, 32)])
def test_edits_with_pauses_on_a_shared_prefix_are_what_torch_counts(weights, pauses):
    net = net_of(weights.packed.stock)
    source = torch.zeros(8, 16, 16)
    branches = [weights.tokens.branches(WORDS, [source], count) for count in pauses]
    sampler, start = Sampler(weights.packed, 3, 2.5, 1.5), torch.zeros(len(pauses), 8, 16, 16)
    found = counted(lambda: sampler(branches, start, [0] * len(pauses)))
    lengths = [[len(b.conditional), len(b.image_only), len(b.unconditional)] for b in branches]
    first = branches[0]
    whole = Prompt(len(first.conditional), tuple(first.conditional.slots))
    own = sum(model.edit(net, of, 64, 3) for of in lengths)
    own += model.prefixes(net, whole, pauses, shapes.CLOSING, shapes.CLOSING)
    own += model.prefix(net, Prompt(len(first.unconditional)))  # which an editor's other edits do not run again
    assert own == pytest.approx(found, rel=0.04)


def vae_of(**changes):
    from diffusers import AutoencoderKL

    blocks = {"down_block_types": ["DownEncoderBlock2D"] * 3, "up_block_types": ["UpDecoderBlock2D"] * 3}
    shape = {"block_out_channels": [8, 16, 16], "layers_per_block": 2, "norm_num_groups": 4, "latent_channels": 4}
    return AutoencoderKL(**blocks, **shape, **changes).eval()


@pytest.mark.parametrize("attends", [True, False])
def test_the_vae_is_what_torch_counts(attends):
    vae, own = vae_of(mid_block_add_attention=attends), Vae((8, 16, 16), 2, 4, attends, "test")
    with torch.no_grad():
        assert counted(lambda: vae.encode(torch.zeros(1, 3, 64, 64))) == model.encoding(own, 64)
        assert counted(lambda: vae.decode(torch.zeros(1, 4, 16, 16))) == model.decoding(own, 64)


def test_embedding_models_are_what_torch_counts():
    from madi.score.clip import Clip
    from madi.score.dino import Dino

    clip, dino = Clip("assets/tiny/clip"), Dino("assets/tiny/dino")
    picture, text = shapes.clip_of("assets/tiny/clip")
    shown = torch.zeros(1, 3, 128, 128)
    assert counted(lambda: clip.images([shown[0]])) == pytest.approx(model.embedding(picture), rel=0.02)
    assert counted(lambda: dino.images([shown[0]])) == pytest.approx(
        model.embedding(shapes.dino_of("assets/tiny/dino")), rel=0.02
    )
    assert counted(lambda: clip.texts(["a red circle"])) == pytest.approx(model.embedding(text), rel=0.02)


def test_numbers_of_a_transformer_are_its_own(weights):
    assert model.parameters(net_of(weights.packed.stock)) == sum(p.numel() for p in weights.packed.stock.parameters())
    assert shapes.net_of(BASE) == Net(
        **vars(net_of(weights.packed.stock)) | {"origin": f"{BASE}/transformer/config.json"}
    )
    assert model.parameters(OMNIGEN) == pytest.approx(3.76e9, rel=0.005)


def test_sizes_are_read_from_names_where_no_weights_are():
    assert vars(shapes.named("timm/vit_base_patch14_dinov2.lvd142m")) | {"origin": ""} == {
        "width": 768,
        "layers": 12,
        "tokens": 37**2 + 1,
        "mlp": 4.0,
        "patch": 14,
        "origin": "",
    }
    assert shapes.named("timm/vit_large_patch14_clip_224.openai").tokens == 257
    assert shapes.named("somebody/else").origin.startswith("guessed")
    assert (shapes.net_of("no/folder"), shapes.vae_of("no/folder")) == (OMNIGEN, SDXL)


# OmniGen's docs/inference.md, "Requiremented Resources": one A800 (an A100's operations a second), 50 steps, prefix
# kept, each branch of guidance alone: seconds by (px of sources, px of the output), at 0, 1 and 2 sources.
PUBLISHED = {(1024, 1024): (31, 66, 80), (512, 1024): (31, 50, 54), (768, 768): (16, 32, 37), (512, 512): (7, 14, 15)}


@pytest.mark.parametrize("sizes", PUBLISHED)
@pytest.mark.parametrize("sources", [0, 1, 2])
def test_published_times_of_omnigen_are_met_within_a_fifth(sizes, sources):
    given, made = sizes
    whole, bare = prompt(sources, given, 10), prompt(sources, given, 0)
    branches = [len(whole), shapes.NEGATIVE, *[len(bare)] * (sources > 0)]
    prefixes = (model.prefix(OMNIGEN, whole) + model.prefix(OMNIGEN, bare)) * (sources > 0)
    coded = sources * model.encoding(SDXL, given) + model.decoding(SDXL, made)
    a100 = machine.PRESETS["a100-80gb"]
    edited = model.edit(OMNIGEN, branches, noise(made), 50) + prefixes
    seconds = edited / a100.rate("edit") + coded / a100.rate("vae")
    assert 5 / 6 < seconds / PUBLISHED[sizes][sources] < 6 / 5


def test_twice_the_steps_are_twice_the_operations():
    edit = partial(model.edit, OMNIGEN, [4200, 4190, 91], 4096)
    assert edit(100) == 2 * edit(50)


def test_a_pause_costs_a_token_in_the_prefix_and_a_key_in_each_step():
    one, two = (model.denoising(OMNIGEN, 4200 + count, 4096) for count in (0, 1))
    assert two - one == 4 * OMNIGEN.num_layers * OMNIGEN.hidden_size * (1 + 4096)
