"""The two free games play by their rules, differ by seed, and reward whoever knows how to play."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtbench_gameboy import players, rules
from rtbench_gameboy.console import Console, mask
from rtbench_gameboy.environments import Encounters, FallingBlocks
from rtbench_gameboy.memory import Variable
from rtbench_gameboy.rules import ENCOUNTERS, FALLING_BLOCKS, EncountersRules, FallingBlocksRules
from rtbench_gameboy.screen import SIDE, grey
from rtbench_gameboy.world import World

GAMES = rules.GAMES
NONE, A, B, LEFT, UP, RIGHT, DOWN = range(7)
ROW, COLUMN, PIECE = Variable(0xC01B, "|i1"), Variable(0xC01A, "|i1"), Variable(0xC018, "|u1")


def world(of: rules.Rules, limit: int = 100_000) -> World:
    return World(of, frames=1, max_frames=limit)


def blocks() -> tuple[World, Console]:
    made = world(FallingBlocksRules())
    made.reset(seed=1)
    return made, made._console


def played(of: rules.Rules, policy: Callable[[Any], int], seed: int, limit: int) -> tuple[float, dict[str, float], int]:
    """Return, progress and frames of an episode."""
    env = world(of, limit)
    observation, info = env.reset(seed=seed)
    total, frames, over = 0.0, 0, False
    while not over:
        observation, reward, terminated, truncated, info = env.step(policy(observation))
        total, frames, over = total + reward, frames + 1, terminated or truncated
    return total, info["rtbench_progress"], frames


def random_player(seed: int) -> Callable[[Any], int]:
    rng = np.random.default_rng(seed)
    return lambda _: int(rng.integers(7))


@pytest.mark.parametrize("name", ["falling-blocks", "encounters"])
def test_the_committed_image_has_the_committed_hash(name: str) -> None:
    content = (GAMES / f"{name}.gb").read_bytes()
    assert len(content) == 32_768
    digest, told = (GAMES / f"{name}.sha256").read_text().split()
    assert (hashlib.sha256(content).hexdigest(), f"{name}.gb") == (digest, told)


@pytest.mark.parametrize(
    ("part", "name", "revision", "digest"),
    [
        (FallingBlocks, "falling-blocks", 1, "71dc94cee8f0e17f"),
        (Encounters, "encounters", 1, "c9a9c8bde7ffd047"),
    ],
)
def test_an_image_that_changes_raises_the_revision(part: type[Any], name: str, revision: int, digest: str) -> None:
    """Another image gives other results: this table and the class's revision change together."""
    assert hashlib.sha256((GAMES / f"{name}.gb").read_bytes()).hexdigest().startswith(digest)
    assert part.revision == revision


@pytest.mark.parametrize("name", ["falling-blocks", "encounters"])
def test_no_logo_of_others_is_in_the_header(name: str) -> None:
    assert not any((GAMES / f"{name}.gb").read_bytes()[0x104:0x150])


# ---- falling blocks --------------------------------------------------------------------------------------------------


def test_a_piece_falls_by_itself_and_faster_with_down() -> None:
    env, console = blocks()
    for _ in range(52):
        env.step(NONE)
    assert console.read(ROW) == 1
    for _ in range(30):
        env.step(DOWN)
    assert console.read(ROW) == 11  # a row every three frames


def test_a_button_held_acts_again_after_sixteen_frames_and_then_every_six() -> None:
    env, console = blocks()
    columns = []
    for _ in range(30):
        env.step(RIGHT)
        columns.append(console.read(COLUMN))
    moved = [frame for frame, (before, now) in enumerate(zip([3, *columns], columns, strict=False)) if now != before]
    assert moved == [0, 16, 22, 28]


def test_a_press_a_frame_moves_a_column_each() -> None:
    env, console = blocks()
    for _ in range(3):
        env.step(LEFT)
        env.step(NONE)
    assert console.read(COLUMN) == 0


@pytest.mark.parametrize(("full", "points"), [(1, 40), (2, 100), (3, 300), (4, 1200)])
def test_rows_score_by_how_many_vanish_at_once(full: int, points: int) -> None:
    """The lowest rows lack one column each; an upright bar fills them."""
    env, console = blocks()
    console.write(PIECE, 0)
    for row in range(18 - full, 18):
        for column in range(10):
            console.write(Variable(0xC100 + 10 * row + column, "|u1"), int(column != 5))
    env.step(A)  # upright it stands in column 3 + 2
    gained, lines = 0.0, 0.0
    for _ in range(18 * 52 + 60):
        _, reward, _, _, info = env.step(NONE)
        gained, lines = gained + reward, info["rtbench_progress"]["lines"]
        if lines:
            break
    assert lines == full
    assert gained == points
    for _ in range(20):
        env.step(NONE)
    well = [console.read(Variable(0xC100 + at, "|u1")) for at in range(180)]
    assert sum(well) == 4 - full  # what of the bar stood above the full rows
    assert well[175] == int(full < 4)


def test_ten_rows_raise_the_level_and_the_pace() -> None:
    env, console = blocks()
    console.write(FALLING_BLOCKS["lines"], 9)
    console.write(PIECE, 0)
    for column in range(10):
        console.write(Variable(0xC100 + 170 + column, "|u1"), int(column != 5))
    env.step(A)
    while console.read(FALLING_BLOCKS["lines"]) == 9:
        env.step(DOWN)
    for _ in range(10):
        env.step(NONE)
    assert console.read(FALLING_BLOCKS["level"]) == 1
    rows = []
    for _ in range(47 * 3):
        env.step(NONE)
        rows.append(console.read(ROW))
    changes = [frame for frame in range(1, len(rows)) if rows[frame] != rows[frame - 1]]
    assert set(np.diff(changes)) == {47}  # 52 frames a row at level 0


def test_it_is_lost_when_nobody_acts() -> None:
    total, progress, frames = played(FallingBlocksRules(), lambda _: NONE, 0, 20_000)
    assert total == 0
    assert progress["pieces"] < 20
    assert 3_000 < frames < 8_000


def test_the_order_of_pieces_depends_on_the_seed_and_not_on_the_actions() -> None:
    def pieces(seed: int, action: int) -> list[int]:
        env = world(FallingBlocksRules())
        env.reset(seed=seed)
        found, count = [], 0
        while count < 8:
            _, _, over, _, info = env.step(action)
            if info["rtbench_progress"]["pieces"] != count:
                count = int(info["rtbench_progress"]["pieces"])
                found.append(env._console.read(PIECE))
            assert not over
        return found

    assert pieces(5, DOWN) == pieces(5, NONE)
    assert len({tuple(pieces(seed, DOWN)) for seed in range(6)}) == 6


def test_the_scripted_player_is_far_better_than_chance() -> None:
    limit = 6_000
    scripted = [played(FallingBlocksRules(), players.falling_blocks, seed, limit)[1]["lines"] for seed in range(2)]
    chance = [played(FallingBlocksRules(), random_player(seed), seed, limit)[1]["lines"] for seed in range(3)]
    assert min(scripted) >= 15
    assert max(chance) <= 2


# ---- encounters ------------------------------------------------------------------------------------------------------


def encounters(mode: Any = "battles", until: Any = "limit") -> EncountersRules:
    return EncountersRules(mode, until, 8)


def test_the_scripted_player_wins_battles_and_chance_does_not() -> None:
    limit = 6_000
    scripted, progress, _ = played(encounters(), players.battles, 0, limit)
    assert progress["won"] >= 5
    assert progress["lost"] == 0
    assert scripted >= 8
    chance, other, _ = played(encounters(), random_player(0), 0, limit)
    assert other["won"] <= progress["won"] / 3
    assert chance < scripted / 2


def test_the_scripted_player_catches_and_chance_does_not() -> None:
    limit = 6_000
    scripted, progress, _ = played(encounters("catching"), players.catching, 0, limit)
    chance, other, _ = played(encounters("catching"), random_player(0), 0, limit)
    assert progress["caught"] >= 6
    assert other["caught"] <= progress["caught"] / 3
    assert scripted > chance


def test_a_battle_counts_falls_and_an_encounter_that_was_lost_comes_again() -> None:
    env = world(encounters())
    env.reset(seed=0)
    number, kinds, total = 0, set(), 0.0
    foe_kind = Variable(0xC030, "|u1")
    for _ in range(12_000):
        before = env._console.read(ENCOUNTERS["encounter"])
        _, reward, _, _, info = env.step(A)  # strikes with the sun, whatever it meets
        total += reward
        now = env._console.read(ENCOUNTERS["encounter"])
        if now != before:
            assert now == before + 1
            assert info["rtbench_progress"]["won"] == now
            number, kinds = now, set()
        if env._console.read(Variable(0xC021, "|u1")) == 1 + number % 3:  # their first
            kinds.add(env._console.read(foe_kind))
        if info["rtbench_progress"]["lost"]:
            break
    assert info["rtbench_progress"]["lost"] == 1
    falls = [env._console.read(ENCOUNTERS[name]) for name in ("foe_falls", "own_falls")]
    assert total == falls[0] - falls[1]
    first = env._console.read(foe_kind)
    for _ in range(200):
        env.step(NONE)
    assert env._console.read(ENCOUNTERS["encounter"]) == number
    for _ in range(200):
        env.step(A)
    assert first in range(3)
    assert env._console.read(foe_kind) in kinds


def test_a_button_is_answered_some_frames_later() -> None:
    env = world(encounters())
    env.reset(seed=0)
    console = env._console
    while console.read(ENCOUNTERS["waits"]) != 1:  # past the first message, to the menu
        env.step(A)
    before = env.step(NONE)[0]
    pictures = [env.step(RIGHT)[0], *(env.step(NONE)[0] for _ in range(20))]
    changed = next(frame for frame, picture in enumerate(pictures) if (picture != before).any())
    assert 8 <= changed <= 12


def test_one_encounter_is_an_episode_where_that_is_asked_for() -> None:
    total, progress, frames = played(encounters("battles", "encounter"), players.battles, 3, 20_000)
    assert progress["won"] + progress["lost"] == 1
    assert frames < 5_000
    assert total >= 1


def test_encounters_are_ever_new() -> None:
    """Of the first twelve no two creatures look alike."""
    seen = set()
    for number in range(12):
        console = Console(encounters().rom)
        game = encounters()
        game._first = number
        rules._FreeGame.begin(game, console, np.random.default_rng(0))
        for _ in range(60):
            console.frame(mask())
        seen.add(console.picture[8:40, 112:144].tobytes())
    assert len(seen) == 12


# ---- many worlds, one emulator ---------------------------------------------------------------------------------------


def test_worlds_that_take_turns_do_not_notice_each_other() -> None:
    actions = np.random.default_rng(0).integers(7, size=80).tolist()

    def alone(of: rules.Rules) -> list[bytes]:
        env = world(of)
        env.reset(seed=9)
        return [env.step(action)[0].tobytes() for action in actions]

    both = [world(FallingBlocksRules()), world(encounters()), world(FallingBlocksRules())]
    for env in both:
        env.reset(seed=9)
    found: list[list[bytes]] = [[], [], []]
    for action in actions:
        for index, env in enumerate(both):
            found[index].append(env.step(action)[0].tobytes())
    assert found[0] == found[2] == alone(FallingBlocksRules())
    assert found[1] == alone(encounters())


def test_another_process_plays_the_same_episode(tmp_path: Path) -> None:
    program = (
        "import hashlib\n"
        "from rtbench_gameboy.rules import FallingBlocksRules\n"
        "from rtbench_gameboy.world import World\n"
        "env = World(FallingBlocksRules(), frames=1, max_frames=1000)\n"
        "found = hashlib.sha256(env.reset(seed=4)[0].tobytes())\n"
        "for step in range(300):\n"
        "    found.update(env.step(step % 7)[0].tobytes())\n"
        "print(found.hexdigest())\n"
    )
    told = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(told) == 1


def test_the_screen_is_the_mean_of_the_area_a_pixel_covers() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (144, 160, 3)).astype(np.uint8)
    found = grey(picture)
    fine = picture[:, :, 1].astype(float).repeat(SIDE, 0).repeat(SIDE, 1)  # every pixel cut into 84 × 84
    mean = fine.reshape(SIDE, 144, SIDE, 160).mean((1, 3))
    assert np.abs(found[:, :, 0] - mean).max() <= 0.5 + 1e-3


def test_progress_is_in_the_information_of_a_step() -> None:
    env = world(FallingBlocksRules())
    assert env.reset(seed=0)[1]["rtbench_progress"]["non_idle_actions"] == 0
    for action in (NONE, LEFT, NONE, A):
        info = env.step(action)[4]
    assert info["rtbench_progress"]["non_idle_actions"] == 2
    assert set(info["rtbench_progress"]) == {"score", "lines", "pieces", "progress", "non_idle_actions"}
    assert json.dumps(info)
