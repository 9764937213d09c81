"""Action probabilities behind every step: which inference's they are, and how a film shows them."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.ppo_cells import ppo_cell
from PIL import Image

from rtbench.cell import RunBatch
from rtbench.cli.choices import Witness, action_names, probabilities, score_for
from rtbench.cli.film import Bar, captioned, film_for
from rtbench.cli.main import run_command_line
from rtbench.cli.watching import moments
from rtbench.plugins import build, use


def trained(timing, env=None):
    """A policy that has learnt nothing, with logits far from equal."""
    cell = ppo_cell("to-action", timing, env=env)
    (policy,) = build(cell.learner).make(RunBatch(cell, (5,))).policies(["ab" * 32])
    policy.parameters["head"]["weight"][:] *= 300
    return policy


def softmax(logits):
    weights = np.exp(np.asarray(logits, float))
    return weights / weights.sum()


def watched(timing, episodes=2):
    """Every moment of some episodes, and what was decided in each: [(logits, action)]."""
    policy, decided = trained(timing), []
    score = score_for(policy, "watch")
    own = score._decide

    def spy(output):
        action = own(output)
        decided[-1].append((output.copy(), int(action.argmax())))
        return action

    score._decide = spy
    begin = score.begin_episode

    def beginning(observation):
        decided.append([])
        begin(observation)

    score.begin_episode = beginning
    loop = policy.loop(phase="watch", recorder=score, decide=score)
    return list(moments(loop, score, episodes)), decided


@pytest.mark.parametrize(
    ("timing", "which"),
    [  # which decision of the episode acts at a step, the start rule's being number 0
        ("instant", lambda step: step + 1),
        ("delta-1", lambda step: step),
        ("delta-2", lambda step: None if step % 2 and step > 1 else step // 2),  # the default policy in between
        ("sequential", lambda step: step // 5),  # five layers one after the other; the action is held
    ],
)
def test_whose_probabilities_they_are(timing, which) -> None:
    found, decided = watched(timing)
    assert len({moment.choice for moment in found}) >= 5
    for moment in found:
        number = which(moment.step - 1)
        assert moment.filled_in == (number is None)
        if number is None:
            assert moment.choice is None
            assert moment.words(0.1)[1] == "the default policy acts"
        else:
            logits, action = decided[moment.episode][number]
            assert moment.choice.taken == action
            assert moment.choice.probabilities == pytest.approx(softmax(logits))


def test_what_is_decided_before_the_first_inference_is_the_start_rules() -> None:
    witness = Witness(lambda output: (output == output.max()).astype(np.float32))
    logits = [np.log(np.array(p, np.float32)) for p in ((0.7, 0.3), (0.4, 0.6), (0.2, 0.8))]
    witness.begin_episode(None)
    assert witness.choice is None
    witness(logits[0])
    witness(logits[1])
    witness.begin_inference(0)
    witness.end_step(None, 2.0, None)
    assert witness.choice.probabilities == pytest.approx((0.7, 0.3))
    witness(logits[2])
    witness.begin_inference(1)
    witness.apply(0)
    assert (witness.choice.taken, witness.choice.probabilities) == (1, pytest.approx((0.4, 0.6)))
    witness.begin_inference(2)  # a random action: nobody decided
    witness.apply(2)
    assert witness.choice is None
    assert (witness.step, witness.reward) == (1, 2.0)
    witness.begin_episode(None)
    witness(logits[0])
    witness.end_step(None, 0.0, None)  # no inference begins in the first step
    assert witness.choice.probabilities == pytest.approx((0.7, 0.3))


def test_probabilities_of_large_logits() -> None:
    assert probabilities(np.array([1000.0, 1000.0, -np.inf], np.float32)) == pytest.approx((0.5, 0.5, 0.0))


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"game": "breakout"}, ("n", "l", "u", "r", "d", "f")),
        ({"game": "breakout", "actions": "minimal"}, ("n", "l", "r")),
    ],
)
def test_actions_have_their_environments_names(params, names) -> None:
    env = build(use("environments", "minatar", params)).make()
    assert action_names(env, len(names)) == names
    assert action_names(env, 9) == tuple("012345678")


# ---- films -----------------------------------------------------------------------------------------------------------


def test_a_bar_is_as_dark_as_it_is_probable_and_the_one_taken_is_framed() -> None:
    bars = [Bar("a", 0.0), Bar("b", 1.0, chosen=True), Bar("c", 0.5), Bar("d")]
    picture = np.zeros((40, 40, 3), np.uint8)
    plain, drawn = captioned(picture, ["one"]), captioned(picture, ["one"], bars=bars)
    assert (plain.width, drawn.width) == (40, 320)
    low = drawn.height - 20
    inner = [drawn.getpixel((6 + 77 * number + 60, low)) for number in range(4)]
    assert inner == [(255, 255, 255), (20, 80, 160), (138, 168, 208), (255, 255, 255)]
    corners = [drawn.getpixel((6 + 77 * number + 1, low)) for number in range(4)]
    assert [corner == (30, 30, 30) for corner in corners] == [False, True, False, False]


def test_a_sheet_has_as_many_frames_as_asked_for(tmp_path) -> None:
    sheet = film_for(tmp_path / "sheet.png", 0.1, 3)
    for frame in range(40):
        if sheet.wants(frame):
            sheet.add(np.full((20, 20, 3), 6 * frame, np.uint8), [], [Bar("n", 1.0)])
    (tmp_path / "sheet.png").write_bytes(sheet.finish())
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.width == 3 * (320 + 4)


def test_the_command_draws_them(tmp_path, capsys) -> None:
    (tmp_path / "p.npz").write_bytes(trained("delta-2").to_bytes())
    arguments = ["watch", str(tmp_path / "p.npz"), "-o", str(tmp_path / "film.png"), "--frames", "2"]
    assert run_command_line(arguments) == 0
    with Image.open(tmp_path / "film.png") as image:
        first = np.asarray(image)[-45:-5, : image.width // 2 - 4]  # the bars of the first frame
    assert (first == (30, 30, 30)).all(-1).any(), "one is framed"
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 4
