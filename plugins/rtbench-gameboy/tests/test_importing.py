"""Cartridges of one's own: recognised, refused, laid down, played; no image of others is needed to check it.

The free games stand in for commercial ones: a table of cartridges knows them by their hash, with addresses of theirs.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rtbench.errors import RtbenchError
from typer.testing import CliRunner

from rtbench_gameboy import cartridges, importing, players, rules
from rtbench_gameboy.cartridges import CARTRIDGES, Cartridge
from rtbench_gameboy.commands import gameboy
from rtbench_gameboy.console import Console, mask
from rtbench_gameboy.environments import PokemonBattles, PokemonParams, Tetris, TetrisParams
from rtbench_gameboy.imported_rules import BattleRules, CatchingRules, TetrisRules
from rtbench_gameboy.memory import Variable
from rtbench_gameboy.rules import ENCOUNTERS, STATE
from rtbench_gameboy.world import World

BLOCKS, ENCOUNTER = rules.GAMES / "falling-blocks.gb", rules.GAMES / "encounters.gb"
States = Callable[[str, list[int]], Path]


# ---- recognising -----------------------------------------------------------------------------------------------------


def test_the_known_cartridges_are_five_dumps_of_their_true_size() -> None:
    assert [(c.title, c.size) for c in CARTRIDGES.values()] == [
        ("Tetris (World) (Rev 1)", 32_768),
        ("Tetris (World)", 32_768),
        ("Pokémon Red (USA, Europe)", 1_048_576),
        ("Pokémon Blue (USA, Europe)", 1_048_576),
        ("Pokémon Yellow (USA, Europe)", 1_048_576),
    ]
    assert len({c.sha1 for c in CARTRIDGES.values()}) == 5
    assert all(len(bytes.fromhex(c.sha1)) == 20 for c in CARTRIDGES.values())


def test_addresses_are_those_of_the_reference_and_one_lower_in_yellow() -> None:
    red, yellow = (CARTRIDGES[f"pokemon-{version}"].variables for version in ("red", "yellow"))
    assert red["own_hp_2"] == Variable(0xD16C + 44, ">u2")
    assert red["foe_hp_6"] == Variable(0xD8A5 + 5 * 44, ">u2")
    assert red["owned_19"].address == 0xD2F7 + 18
    assert (red["in_battle"], red["box_count"]) == (Variable(0xD057, "|i1"), Variable(0xDA80, "|u1"))
    assert {name: variable.address - yellow[name].address for name, variable in red.items()} == dict.fromkeys(red, 1)
    assert CARTRIDGES["tetris"].variables["score"] == Variable(0xC0A0, "<d3")


def test_an_unknown_image_is_refused_with_what_is_known(folder: Path) -> None:
    unknown = folder / "mine.gb"
    unknown.write_bytes(bytes(32_768))
    with pytest.raises(RtbenchError) as refused:
        importing.import_cartridge(unknown)
    assert hashlib.sha1(bytes(32_768)).hexdigest() in refused.value.message
    assert all(c.sha1 in refused.value.hint and c.title in refused.value.hint for c in CARTRIDGES.values())
    assert not (folder / "data").exists()


def test_a_file_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(RtbenchError, match="cannot be read"):
        importing.import_cartridge(folder / "nothing.gb")


def test_without_an_image_a_cell_is_unsupported_and_told_the_command() -> None:
    assert Tetris._lacks({"cartridge": "tetris"}) is not None
    reason = PokemonBattles._lacks({"version": "yellow"})
    assert reason is not None
    assert "Pokémon Yellow" in reason
    assert "rtbench gameboy import --rom FILE --states DIR" in reason
    assert Tetris(TetrisParams()).spec().observation_shape == (84, 84, 1)  # known without one


# ---- importing -------------------------------------------------------------------------------------------------------


def test_an_imported_cartridge_is_a_folder_that_stable_retro_can_play(
    folder: Path, red: Cartridge, states: States
) -> None:
    found = importing.import_cartridge(ENCOUNTER, states("battles", [0, 3]))
    assert found.states == {"battles": 2, "catching": 0}
    there = {path.name for path in found.folder.iterdir()}
    assert there == {"rom.gb", "rom.sha", "data.json", "scenario.json", "metadata.json", "Start.state", "battles"}
    data = json.loads((found.folder / "data.json").read_text())["info"]
    assert data["own_hp_1"] == {"address": 0xC025, "type": "|u1"}
    assert json.loads((found.folder / "metadata.json").read_text()) == {"default_state": "Start"}
    from stable_retro.data import GameData

    assert GameData().load(str(found.folder / "data.json"), str(found.folder / "scenario.json"))
    assert importing.states_digests()["gameboy/pokemon-red battles"].startswith("2 states, ")


def test_states_of_another_cartridge_are_refused_and_nothing_of_them_stays(folder: Path, red: Cartridge) -> None:
    wrong = folder / "states" / "battles"
    wrong.mkdir(parents=True)
    (wrong / "1.state").write_bytes(gzip.compress(b"no state"))
    with pytest.raises(RtbenchError, match="not a saved state"):
        importing.import_cartridge(ENCOUNTER, folder / "states")
    assert cartridges.states_of("pokemon-red", "battles") == []


def test_a_folder_without_states_is_refused(folder: Path, red: Cartridge) -> None:
    with pytest.raises(RtbenchError) as refused:
        importing.import_cartridge(ENCOUNTER, folder)
    assert "battles/*.state" in refused.value.hint


def test_states_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("10", "9", "battle 2", "battle 11"):
        (tmp_path / f"{name}.state").write_bytes(b"")
    assert [path.stem for path in cartridges.in_order(tmp_path)] == ["9", "10", "battle 2", "battle 11"]


def test_the_command_says_what_it_found(folder: Path, red: Cartridge, states: States) -> None:
    where = states("battles", [0])
    done = CliRunner().invoke(gameboy, ["import", "--rom", str(ENCOUNTER), "--states", str(where), "--json"])
    assert json.loads(done.stdout)["states"] == {"battles": 1, "catching": 0}
    listed = json.loads(CliRunner().invoke(gameboy, ["list", "--json"]).stdout)
    assert [one["cartridge"] for one in listed if one["imported"]] == ["pokemon-red"]


def test_the_start_of_a_game_is_the_state_before_the_press_that_begins_it() -> None:
    first = importing.start_of(BLOCKS, STATE, lambda state: state == rules.PLAYING, power_on_frames=60)
    console = Console(BLOCKS)
    console.load(first)
    assert console.read(STATE) == rules.TITLE
    console.frame(mask("START", "A"))
    for _ in range(60):
        console.frame(mask())
    assert console.read(STATE) == rules.PLAYING
    with pytest.raises(RtbenchError, match="no game begins"):
        importing.start_of(BLOCKS, STATE, lambda state: state == 77, power_on_frames=60)


# ---- playing ---------------------------------------------------------------------------------------------------------


def test_battles_go_through_the_states_in_order_and_end_with_the_last(
    folder: Path, red: Cartridge, states: States
) -> None:
    importing.import_cartridge(ENCOUNTER, states("battles", [0, 3, 6]))
    env = PokemonBattles(PokemonParams("red")).make()
    observation, _ = env.reset(seed=0)
    rewards, over, counts = [], False, []
    for _ in range(4_000):
        observation, reward, over, _, info = env.step(players.battles(observation))
        rewards += [reward] if reward else []
        if not counts or info["rtbench_progress"]["won"] != counts[-1]:
            counts.append(info["rtbench_progress"]["won"])
        if over:
            break
    assert over
    assert counts == [0, 1, 2, 3]
    assert sum(rewards) == 3  # one of theirs each; none of ours fell


def test_a_battle_that_is_lost_begins_again(folder: Path, red: Cartridge, states: States) -> None:
    """Nobody strikes: nets do not work in battles."""
    importing.import_cartridge(ENCOUNTER, states("battles", [24, 0]))
    rule = BattleRules("pokemon-red")
    console = Console(rule.rom)
    rule.begin(console, np.random.default_rng(0))
    for hit in range(3):
        console.write(red.variables[f"own_hp_{hit + 1}"], 0)
        console.frame(mask())
        assert rule.advance(console) == (-1.0, False)
    assert rule.progress() == {"won": 0.0, "lost": 1.0}
    assert console.read(red.variables["own_hp_1"]) > 0
    assert console.read(ENCOUNTERS["encounter"]) == 24


class Memory:
    """A console of which only what is read counts."""

    def __init__(self) -> None:
        self.numbers: dict[Variable, int] = {}
        self.loaded = 0

    def read(self, variable: Variable) -> int:
        return self.numbers.get(variable, 0)

    def load(self, state: bytes) -> None:
        self.loaded += 1

    def frame(self, buttons: Any) -> None:
        pass


@pytest.fixture
def catching(folder: Path, red: Cartridge, stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any, Any]:
    monkeypatch.setattr("rtbench_gameboy.imported_rules.just_on", lambda rom: b"")
    where = folder / "data" / "Red" / "catching"
    where.mkdir(parents=True)
    for number in (1, 2):
        (where / f"{number}.state").write_bytes(b"state")
    true = {name: Variable(0xD000 + at, "|u1") for at, name in enumerate(red.variables)}
    stand_in(true)
    console = Memory()
    rule = CatchingRules("pokemon-red")
    rule.begin(console, np.random.default_rng(0))  # type: ignore[arg-type]
    return rule, console, true


def test_a_catch_earns_one_once_and_leads_on(catching: Any) -> None:
    rule, console, at = catching
    assert rule.advance(console) == (0.0, False)  # not in the battle yet
    console.numbers[at["in_battle"]] = 1
    assert rule.advance(console) == (0.0, False)
    console.numbers[at["owned_3"]] = 0b100
    assert rule.advance(console) == (1.0, False)
    console.numbers[at["box_count"]] = 1
    assert rule.advance(console) == (0.0, False)
    console.numbers[at["in_battle"]] = 0
    assert rule.advance(console) == (0.0, False)
    assert rule.progress() == {"caught": 1.0, "escaped": 0.0}
    assert console.loaded == 3  # a known screen, the first state, the second


def test_an_encounter_that_ends_without_costs_one_and_comes_again(catching: Any) -> None:
    rule, console, at = catching
    for caught in (False, True, True):
        console.numbers[at["in_battle"]] = 1
        rule.advance(console)
        if caught:
            console.numbers[at["box_count"]] = console.numbers.get(at["box_count"], 0) + 1
            assert rule.advance(console)[0] == 1.0
        console.numbers[at["in_battle"]] = 0
        reward, over = rule.advance(console)
        assert reward == (0.0 if caught else -1.0)
    assert over  # the second of two states was the last
    assert rule.progress() == {"caught": 2.0, "escaped": 1.0}


def test_tetris_begins_after_idle_frames_with_start_and_a(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtbench_gameboy.imported_rules.just_on", lambda rom: b"")
    where = folder / "data" / CARTRIDGES["tetris"].folder
    where.mkdir(parents=True)
    (where / "Start.state").write_bytes(b"state")
    score, state = (CARTRIDGES["tetris"].variables[name] for name in ("score", "state"))

    class Console(Memory):
        def __init__(self) -> None:
            super().__init__()
            self.numbers[state], self.frames, self.begun_at = 10, 0, None

        def frame(self, buttons: Any) -> None:
            self.frames += 1
            if np.array_equal(buttons, mask("START", "A")):
                self.begun_at, self.numbers[state] = self.frames, 0

    begun = set()
    for seed in range(40):
        rule, console = TetrisRules("tetris"), Console()
        rule.begin(console, np.random.default_rng(seed))  # type: ignore[arg-type]
        begun.add(console.begun_at)
    assert begun <= set(range(2, 43))
    assert len(begun) > 15
    console.numbers[score] = 40
    assert rule.advance(console) == (40.0, False)  # type: ignore[arg-type]
    console.numbers[state] = 1
    assert rule.advance(console) == (0.0, True)  # type: ignore[arg-type]
    assert rule.progress() == {"score": 40.0}


def test_imported_encounters_replay_from_their_actions(folder: Path, red: Cartridge, states: States) -> None:
    importing.import_cartridge(ENCOUNTER, states("battles", [1, 2]))
    actions = np.random.default_rng(3).integers(7, size=200).tolist()

    def episode() -> list[bytes]:
        env = World(BattleRules("pokemon-red"), frames=1, max_frames=1_000)
        env.reset(seed=1)
        return [env.step(action)[0].tobytes() for action in actions]

    assert episode() == episode()
