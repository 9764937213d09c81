"""All tests here run against the stand-in for Ray, whether Ray is installed or not; those of `cluster/` do not."""

import os
import sys
from pathlib import Path

STANDIN = str(Path(__file__).parent / "standin")
sys.path.insert(0, STANDIN)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (STANDIN, os.environ.get("PYTHONPATH"))))
