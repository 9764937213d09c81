"""A control loop on the wall clock: an arm wants a command every 20 ms from a network that takes 50 ms.

python examples/control_loop.py
"""

import time

from rtbench.realtime import run

STEP_S, NETWORK_S = 0.02, 0.05


def drive(processes: int) -> None:
    """Two seconds with so many inference processes; the arm is two callbacks, as a driver's would be."""
    arm = {"angle": 1.0}

    def observe() -> list[float]:
        return [arm["angle"]]

    def command(torque: list[float]) -> None:
        arm["angle"] += STEP_S * float(torque[0])

    def policy(observation: list[float]) -> list[float]:
        time.sleep(NETWORK_S)  # your network
        return [-4.0 * observation[0]]

    recording = run(
        policy,
        (observe, command),
        "staggered-slots",
        processes=processes,
        step_s=STEP_S,
        first_action=[0.0],
        seconds=2.0,
    )
    told = recording.summary()
    print(
        f"{processes} process{'es' if processes > 1 else ''}: "
        f"{told.inaction_share:.0%} of the steps without a new action, "
        f"each {told.age_p50_steps} steps old (median), arm at {arm['angle']:+.2f}"
        + (f"; not to be trusted: {recording.spoiled}" if recording.spoiled else "")
    )


if __name__ == "__main__":
    for number in (1, 4):
        drive(number)
