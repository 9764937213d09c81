"""Where values lie, computed by hand; which layers may be computed together; what backends refuse."""

from __future__ import annotations

import pytest
from backends.playing import CASES, made
from graphs import images, large_images, variants

from rtbench.backends.layout import Block, Source, groups, layout
from rtbench.cell import Budget, Cell, Interaction
from rtbench.errors import RtbenchError
from rtbench.graph import ActingSpec, GraphBuilder, Term
from rtbench.plugins import build, part_class, use

GRAPHS = dict(variants()) | dict(images()) | dict(large_images())


def chain():
    """observation 5, action 2, layers of 6, 6, 6 and a head of 4 that reads a residual sum and an action."""
    builder = GraphBuilder(5, 2)
    first = builder.layer(6, [builder.observation])
    second = builder.layer(6, [first])
    third = builder.layer(6, [second])
    return builder.head(4, [Term((third, second), 0.5), builder.action.ago(2)])


def test_places_by_hand():
    """Sources take 7 numbers, rounded up to 16; a pipelined layer reads the frame before."""
    found = layout(chain(), "pipelined", 1.0)
    assert [place.offset for place in found.places] == [16, 22, 28, 34]
    assert (found.size, found.depth, found.zero) == (48, 3, 38)
    assert found.places[0].blocks == (Block((Source(0, 5, 0),)),)
    assert found.places[1].blocks == (Block((Source(16, 6, 1),)),)
    assert found.head.blocks == (Block((Source(28, 6, 1), Source(22, 6, 1)), 0.5), Block((Source(5, 2, 2),)))
    assert (found.head.inputs, found.head.columns) == (8, 4)


def test_stages_and_groups_by_hand():
    """Pipelined everything is computed at once, sequentially one layer after another; layers 2 and 3 are alike."""
    at_once = layout(chain(), "pipelined", 1.0)
    assert [len(stage) for stage in at_once.stages] == [4]
    assert [[place.layer.name for place in group] for group in groups(at_once.places)] == [
        ["layer1"],
        ["layer2", "layer3"],
        ["head"],
    ]
    in_turn = layout(chain(), "sequential", 1.0)
    assert [[place.layer.name for place in stage] for stage in in_turn.stages] == [
        ["layer1"],
        ["layer2"],
        ["layer3"],
        ["head"],
    ]
    # four layers of 0.4 ticks start at 0.4, 0.8, 0.2 and 0.6 of a tick: the second reads what the first finishes then
    partly = layout(chain(), "pipelined", 0.4)
    assert [place.stage for place in partly.places] == [0, 1, 0, 1]


def test_an_lstm_keeps_its_cell_beside_its_output():
    found = layout(GRAPHS["2-none-lstm-none"], "instant", 1.0)
    place, head = found.places
    assert place.cell == Source(22, 6, 1)
    assert place.blocks == (Block((Source(0, 5, 0),)), Block((Source(16, 6, 1),)))
    assert head.blocks == (Block((Source(16, 6, 0),)),)
    assert head.offset == 28


def test_no_layer_reads_what_its_stage_computes():
    for name, graph in GRAPHS.items():
        for execution, delta, _ in CASES[::2]:
            found = layout(graph, execution, delta)
            owners = {place.offset: place.stage for place in found.places}
            for place in found.places:
                for source in (source for block in place.blocks for source in block.sources):
                    assert source.ticks < found.depth
                    if source.ticks == 0 and source.offset in owners:
                        assert owners[source.offset] < place.stage, name


@pytest.mark.parametrize(
    ("backend", "graph", "told"),
    [
        ("block", "cnn-none-relu-1-none", "convolution"),
        ("sparse", "cnn-none-relu-1-none", "convolution"),
        ("onnx", "cnn-from-obs", "uneven"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(backend, graph, told):
    part = build(use("backends", backend))
    assert told in part.refuses(ActingSpec(GRAPHS[graph], "pipelined", 1.0))
    with pytest.raises(RtbenchError, match=told) as caught:
        made(backend, GRAPHS[graph])
    assert "native" in caught.value.hint


def test_a_dense_matrix_has_a_limit():
    """Three layers of 6 pipelined: 8 + 6 + 6 + 5 inputs at most by 22 columns, far below 1 KiB of the limit's unit."""
    part = build(use("backends", "block", {"limit_gib": 1e-9}))
    reason = part.refuses(ActingSpec(GRAPHS["3-none-relu-none"], "pipelined", 1.0))
    assert "limit_gib = 1e-09" in reason
    large = use("architectures", "mlp", {"layers": 200, "width": 256})
    graph = build(large).make(build(large).example)
    # 199 layers read 256 numbers or fewer, and the sequential form has matrices of one layer
    assert "10.1 GiB" not in (build(use("backends", "block")).refuses(ActingSpec(graph, "sequential", 1.0)) or "")
    assert "GiB is above" in build(use("backends", "block")).refuses(ActingSpec(graph, "pipelined", 1.0))


def cell(architecture, backend):
    interaction = Interaction(use("schedulers", "one-process"), "pipelined", 1.0, use("default_policies", "noop"))
    world = use("environments", "mujoco", {"id": "Hopper-v4"})
    return Cell(world, architecture, interaction, use("learners", "ppo"), use("backends", backend), Budget(1))


def test_a_suite_is_told_which_cells_are_unsupported():
    for backend, wanted in (("block", "convolution"), ("sparse", "convolution"), ("onnx", None), ("native", None)):
        pictures = cell(use("architectures", "cnn"), backend)
        reason = part_class("backends", backend).supports(pictures)
        assert (wanted in reason) if wanted else reason is None
        plain = cell(use("architectures", "mlp"), backend)
        assert part_class("backends", backend).supports(plain) is None
