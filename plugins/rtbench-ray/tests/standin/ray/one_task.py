"""One task in its process: the call is in a folder, and so is the answer."""

import pickle
import sys
from pathlib import Path

folder = Path(sys.argv[1])
try:
    function, arguments = pickle.loads((folder / "call").read_bytes())
    answer = (True, function(*arguments))
except KeyboardInterrupt:
    answer = (False, "KeyboardInterrupt")
except Exception as error:
    answer = (False, f"{type(error).__name__}: {error}")
(folder / "aside").write_bytes(pickle.dumps(answer))
(folder / "aside").rename(folder / "answer")
