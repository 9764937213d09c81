"""The environments of this package, as parts of rtbench."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rtbench.parts import Environment, EnvironmentSpec, param

from rtbench_gameboy.cartridges import missing

if TYPE_CHECKING:
    import gymnasium
    from rtbench.cell import Cell

    from rtbench_gameboy.rules import Rules

HALF_AN_HOUR, AN_HOUR = 107_510, 215_019
"""In frames."""
Reward = Literal["raw", "sign"]
_FRAMES = "newest screens stacked in the channels"
_LIMIT = "time limit that truncates"
_REWARD = "what a learner trains on; returns are always the game's"


class _GameBoy(Environment):
    """A frame is a step, 59.7275 a second; 84 × 84 grey; action 0 presses nothing, then A, B, left, up, right, down."""

    requires = ("stable_retro",)
    extra = "rtbench-gameboy"
    preload = ("rtbench_gameboy.world", "stable_retro")
    actions = "discrete"

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """At least one screen and one frame; of a cartridge that is not free, that it was imported."""
        given = cell.environment.params
        for name in ("frames", "max_frames"):
            if given[name] < 1:
                return f"environment {cell.environment.name}: {name} must be at least 1, got {given[name]}"
        return cls._lacks(given)

    @classmethod
    def _lacks(cls, given: Any) -> str | None:
        return None

    @abstractmethod
    def _rules(self) -> Rules:
        """What an episode is."""

    def make(self, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
        """A fresh console with its cartridge."""
        from rtbench_gameboy.world import World

        p = self.params
        return World(self._rules(), frames=p.frames, max_frames=p.max_frames, render_mode=render_mode)

    def spec(self) -> EnvironmentSpec:
        """Shapes, actions and τ_M: the same for every cartridge, and known without one."""
        p = self.params
        return EnvironmentSpec(
            observation_shape=(84, 84, p.frames),
            action_size=7,
            continuous=False,
            step_s=70_224 / 4_194_304,
            max_episode_steps=p.max_frames,
            noop=0,
            observation_dtype="uint8",
            observation_scale=1 / 255,
            training_reward=p.training_reward,
        )


@dataclass(frozen=True)
class FallingBlocksParams:
    """How fast it begins, and how long it may last."""

    start_level: int = param(0, doc="level at which a game begins, 0 to 20: 52 frames a row at 0, 2 at 20")
    frames: int = param(1, unit="frames", doc=_FRAMES)
    max_frames: int = param(HALF_AN_HOUR, unit="frames", doc=_LIMIT)
    training_reward: Reward = param("raw", doc=_REWARD)


class FallingBlocks(_GameBoy):
    """A free game of falling blocks: ten columns, eighteen rows, seven pieces, lost when nobody acts.

    Rows that vanish earn 40, 100, 300 or 1200 points (one to four at once) times the level plus one, a row fallen with
    down held one point; ten rows raise the level. Up does nothing. A button held acts again after 16 frames, then every
    6. The order of the pieces depends on the reset's seed alone. (As Tetris in Staggered Asynchronous Inference,
    Section 5.2 and Figure 5, without a cartridge of others.)
    """

    Params = FallingBlocksParams

    @classmethod
    def _lacks(cls, given: Any) -> str | None:
        if not 0 <= given["start_level"] <= 20:
            return f"environment gameboy/falling-blocks: start_level is 0 to 20, got {given['start_level']}"
        return None

    def _rules(self) -> Rules:
        from rtbench_gameboy.rules import FallingBlocksRules

        return FallingBlocksRules(self.params.start_level)


@dataclass(frozen=True)
class EncountersParams:
    """Battles or catching, one encounter or a whole row of them."""

    mode: Literal["battles", "catching"] = param("battles", doc="what an encounter is about")
    until: Literal["limit", "encounter"] = param(
        "limit", doc="an episode is encounter after encounter until the time limit, or one encounter drawn by the seed"
    )
    known: int = param(24, unit="encounters", doc="where an episode is one encounter: it is one of the first so many")
    frames: int = param(1, unit="frames", doc=_FRAMES)
    max_frames: int = param(AN_HOUR, unit="frames", doc=_LIMIT)
    training_reward: Reward = param("raw", doc=_REWARD)


class Encounters(_GameBoy):
    """A free turn-based game that waits for its player: ever new encounters, each again until it is won.

    Battles: three of ours against one to three of theirs; 1 for each of theirs that falls, −1 for each of ours.
    Catching: 1 for a catch, −1 for an encounter that ends without. What harms whom can be seen from the three kinds of
    creatures; who comes depends on the reset's seed and the encounter's number, the luck in it on the actions as well.
    A button takes 8 to 12 frames to be answered. (As the battles and catches of Staggered Asynchronous Inference,
    Section 5.1 and Figure 4, which were separate episodes; here an episode is the whole row, so that a seed and actions
    say where it stands.)
    """

    Params = EncountersParams

    @classmethod
    def _lacks(cls, given: Any) -> str | None:
        if not 1 <= given["known"] <= 65_535:
            return f"environment gameboy/encounters: known is 1 to 65535, got {given['known']}"
        return None

    def _rules(self) -> Rules:
        from rtbench_gameboy.rules import EncountersRules

        return EncountersRules(self.params.mode, self.params.until, self.params.known)


@dataclass(frozen=True)
class TetrisParams:
    """Which dump."""

    cartridge: Literal["tetris-rev-1", "tetris"] = param("tetris-rev-1", doc="which of the known dumps")
    frames: int = param(1, unit="frames", doc=_FRAMES)
    max_frames: int = param(HALF_AN_HOUR, unit="frames", doc=_LIMIT)
    training_reward: Reward = param("raw", doc=_REWARD)


class Tetris(_GameBoy):
    """Tetris from the user's own cartridge image; the reward is the score gained.

    Staggered Asynchronous Inference, Section 5.2 and Figure 5. A game begins after 0 to 40 frames of nothing, drawn
    from the reset's seed, with START and A.
    """

    Params = TetrisParams

    @classmethod
    def _lacks(cls, given: Any) -> str | None:
        return missing(given["cartridge"])

    def _rules(self) -> Rules:
        from rtbench_gameboy.imported_rules import TetrisRules

        return TetrisRules(self.params.cartridge)


@dataclass(frozen=True)
class PokemonParams:
    """Which version."""

    version: Literal["red", "blue", "yellow"] = param("blue", doc="which cartridge; saved states are for one of them")
    frames: int = param(1, unit="frames", doc=_FRAMES)
    max_frames: int = param(AN_HOUR, unit="frames", doc=_LIMIT)
    training_reward: Reward = param("raw", doc=_REWARD)


class _Pokemon(_GameBoy):
    Params = PokemonParams
    states: str

    @classmethod
    def _lacks(cls, given: Any) -> str | None:
        return missing(f"pokemon-{given['version']}", cls.states)


class PokemonBattles(_Pokemon):
    """Battles of Pokémon from the user's own cartridge image and saved states, in order, each again until it is won.

    Staggered Asynchronous Inference, Section 5.1 and Figure 4a (there 295 encounters): 1 for each of theirs that
    falls, −1 for each of ours. An episode is the whole row.
    """

    states = "battles"

    def _rules(self) -> Rules:
        from rtbench_gameboy.imported_rules import BattleRules

        return BattleRules(f"pokemon-{self.params.version}")


class PokemonCatching(_Pokemon):
    """Wild Pokémon to be caught, from the user's own cartridge image and saved states, in order, each until it is.

    Staggered Asynchronous Inference, Section 5.1 and Figure 4b (there 93 encounters): 1 for a catch, −1 for an
    encounter that ends without. An episode is the whole row.
    """

    states = "catching"

    def _rules(self) -> Rules:
        from rtbench_gameboy.imported_rules import CatchingRules

        return CatchingRules(f"pokemon-{self.params.version}")
