"""A real SLURM on this machine alone, on loopback, with everything it writes in one folder (Debian's slurm-wlm, munge).

No systemd, no cgroups, no accounting: `proctrack/linuxproc`, `task/none`. Whoever starts it owns it.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

NODE = "n1"
PROGRAMS = ("munged", "slurmctld", "slurmd")
CONFIGURATION = """
ClusterName=rtbench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
KillWait=15
NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=main Nodes={node} Default=YES MaxTime=INFINITE State=UP
"""


class Cluster:
    """Started with `start`, ended with `stop`; `environment` is what its users need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Until the node is idle."""
        missing = [name for name in PROGRAMS if self._program(name) is None]
        assert not missing, f"{', '.join(missing)} not found: apt-get install slurm-wlm munge"
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        self.folder.chmod(0o755)
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        (self.folder / "slurm.conf").write_text(
            CONFIGURATION.format(
                folder=self.folder,
                host=socket.gethostname().partition(".")[0],
                user=subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip(),
                controller_port=free_port(),
                node_port=free_port(),
                node=NODE,
                cores=os.cpu_count(),
            )
        )
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        names = ("socket", "key-file", "pid-file", "log-file", "seed-file")
        places = ("munge.socket", "munge.key", "munged.pid", "munged.log", "munge.seed")
        where = [f"--{name}={self.folder / place}" for name, place in zip(names, places, strict=True)]
        self._run("munged", "--foreground", "--force", *where)
        self._until(lambda: (self.folder / "munge.socket").exists())
        self._run("slurmctld", "-D", "-i")
        self._run("slurmd", "-D", "-N", NODE)
        self._until(lambda: "idle" in self.ask("sinfo", "--noheader", "--format", "%T"))

    def stop(self) -> None:
        """All its jobs cancelled, all its processes ended."""
        with contextlib.suppress(AssertionError):
            self.ask("scancel", "--user", str(os.getuid()))
            self._until(lambda: not self.ask("squeue", "--noheader"))
        for process in reversed(self._started):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self._started):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def ask(self, *command: str) -> str:
        """What one of SLURM's programs prints."""
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | self.environment)
        return done.stdout + done.stderr

    def _run(self, name: str, *arguments: str) -> None:
        program = self._program(name)
        assert program is not None
        with (self.folder / f"{name}.out").open("wb") as out:
            self._started.append(
                subprocess.Popen(
                    [program, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    env=os.environ | self.environment,
                    start_new_session=True,
                )
            )

    def _until(self, condition: object, timeout_s: float = 60) -> None:
        assert callable(condition)
        deadline = time.monotonic() + timeout_s
        while not condition():
            logs = {path.name: path.read_text()[-2000:] for path in self.folder.glob("*.log")}
            assert time.monotonic() < deadline, f"SLURM does not start or stop: {logs}"
            time.sleep(0.2)

    @staticmethod
    def _program(name: str) -> str | None:
        return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def free_port() -> int:
    """One that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
