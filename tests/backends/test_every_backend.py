"""Every backend gives what eager torch gives, for every registered architecture, execution, start rule and batch."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from backends.playing import CASES, TOLERANCE, inputs, made, played, refused
from graphs import images, large_images, variants
from hypothesis import given, settings
from hypothesis import strategies as st

from rtbench.architectures.residual import Params, Residual
from rtbench.backends.measure import random_parameters
from rtbench.graph import GraphBuilder, Read, Term
from rtbench.parts import PolicyShape

RESIDUAL = Residual(Params(k=0.125, width=6)).make(PolicyShape(42 * 40 * 2, 3, 3, (42, 40, 2)))
GRAPHS = dict(variants()) | dict(images()) | dict(large_images()) | {"residual": RESIDUAL}
NAMES = sorted(GRAPHS)
BACKENDS = ("block", "native", "numpy", "onnx", "sparse", "stacked", "threads")
"""But `eager`, which they are compared with, and `compiled`, which takes seconds per graph."""
CHOSEN = ["1-none-relu-none", "3-from-obs-relu-in-flight", "4-to-action-res-lstm-observation", "5-all-relu-none"]
PICTURES = ["cnn-to-action-res-lstm-3-none", "published-res-relu-2-in-flight", "residual"]


def compared(backend, name, case, batch):
    """Two episodes on one acting, the second begun in the midst of the first; answers whether it was executed."""
    graph = GRAPHS[name]
    if refused(backend, graph, case):
        return False
    policies = [made(which, graph, case, batch=batch) for which in ("eager", backend)]
    for seed in (0, 1):
        expected, found = (played(policy, *inputs(graph, 6, batch, seed)) for policy in policies)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, **TOLERANCE, err_msg=f"{backend}, {name}, {case}, batch {batch}")
    return True


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_architecture_under_one_case_each(backend):
    """The cases go round, so that every one meets graphs of every kind."""
    executed = [
        compared(backend, name, CASES[index % len(CASES)], batch=1 + 2 * (index % 3 == 0))
        for index, name in enumerate(NAMES)
    ]
    assert sum(executed) >= len(list(variants()))


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_case(backend, case):
    for name in [*CHOSEN, *PICTURES[:2]]:
        for batch in (1, 3):
            compared(backend, name, case, batch)


@pytest.mark.parametrize("params", [{"threads": 1}, {"threads": 3, "pin": False, "spin_us": 0.0}])
def test_threads_in_any_number(params):
    for name in (*CHOSEN, *PICTURES):
        for case in CASES[::3]:
            graph = GRAPHS[name]
            expected, found = (
                played(made(which, graph, case, params=given), *inputs(graph))
                for which, given in (("numpy", {}), ("threads", params))
            )
            np.testing.assert_allclose(found, expected, **TOLERANCE, err_msg=f"{name}, {case}")


def test_wide_layers_and_tails():
    """Widths on both sides of every number of vectors that the native code takes at once."""
    for width in (15, 16, 17, 63, 64, 65, 127, 129, 255, 256, 257, 300):
        builder = GraphBuilder(9, 2)
        below = builder.layer(width, [builder.observation])
        middle = builder.layer(width, [below], op="lstm")
        graph = builder.head(5, [builder.layer(width, [middle, below])])
        for batch in (1, 2, 6):
            expected = played(made("numpy", graph, batch=batch), *inputs(graph, 4, batch))
            for backend, fixed in (("native", False), ("native", True), ("threads", True)):
                found = played(made(backend, graph, batch=batch, fixed=fixed), *inputs(graph, 4, batch))
                np.testing.assert_allclose(found, expected, **TOLERANCE, err_msg=f"{backend}, {width}, {batch}")


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_random_graphs(data):
    """Random edges, history, residual sums, recurrence, widths."""
    builder = GraphBuilder(5, 2)
    known: list[Read] = []
    widths = [data.draw(st.sampled_from([3, 6, 16, 20]))] * 2 + [6]
    for _ in range(data.draw(st.integers(0, 4), label="hidden layers")):
        choice = st.sampled_from([builder.observation, builder.action, *known])
        reads = data.draw(st.lists(choice, min_size=1, max_size=3, unique=True))
        ago = data.draw(st.lists(st.integers(0, 2), min_size=len(reads), max_size=len(reads)))
        given_inputs: list[Read | Term] = [builder.observation]
        given_inputs += [read.ago(k) for read, k in zip(reads, ago, strict=True)]
        width = data.draw(st.sampled_from(widths))
        alike = [read for read in known if builder._so_far().by_name[read.source].width == width]
        if len(alike) > 1:
            given_inputs.append(Term((alike[-1], alike[-2].ago(1)), 0.5))
        known.append(builder.layer(width, given_inputs, op=data.draw(st.sampled_from(["linear", "linear", "lstm"]))))
    graph = builder.head(4, [*known[-2:], builder.observation])
    case, batch = data.draw(st.sampled_from(CASES)), data.draw(st.sampled_from([1, 2, 5]))
    expected = played(made("numpy", graph, case, batch=batch), *inputs(graph, batch=batch))
    for backend in BACKENDS:
        found = played(made(backend, graph, case, batch=batch), *inputs(graph, batch=batch))
        np.testing.assert_allclose(found, expected, **TOLERANCE, err_msg=backend)


@pytest.mark.parametrize("backend", ["eager", *BACKENDS])
def test_rows_of_a_batch_are_what_they_are_alone(backend):
    for name in CHOSEN + PICTURES[:1]:
        graph = GRAPHS[name]
        if refused(backend, graph, ("pipelined", 1.0)):
            continue
        observations, actions = inputs(graph, batch=3)
        together = played(made(backend, graph, batch=3), observations, actions)
        for row in range(3):
            alone = played(made(backend, graph), observations[:, row].copy(), actions[:, row].copy())
            np.testing.assert_allclose(together[:, row], alone, **TOLERANCE, err_msg=name)


@pytest.mark.parametrize("backend", ["eager", *BACKENDS])
def test_two_in_two_threads_do_not_disturb_each_other(backend):
    graph, case = GRAPHS["4-to-action-res-lstm-observation"], ("pipelined", 0.4, "hold")
    given = [inputs(graph, 200, seed=seed) for seed in (1, 2)]
    alone = [played(made(backend, graph, case), *each) for each in given]
    policies, found = [made(backend, graph, case) for _ in given], [None, None]

    def run(index):
        found[index] = played(policies[index], *given[index])

    threads = [threading.Thread(target=run, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for expected, value in zip(alone, found, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_what_is_no_number_stays_so():
    """A policy that diverged must not look like one that stands still."""
    graph = GRAPHS["3-none-relu-none"]
    for backend in ("eager", *BACKENDS):
        parameters = random_parameters(graph, 0)
        parameters["layer1"]["bias"][0] = np.nan
        policy = made(backend, graph, ("instant", 1.0, "zero"), parameters)
        assert np.isnan(played(policy, *inputs(graph, 1))[-1]).all(), backend
