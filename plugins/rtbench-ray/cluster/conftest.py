"""What Ray and the nodes' workers read from the environment, set before Ray is imported: nodes take all of it over."""

import os
import secrets

# From Ray 2.59 on it asks for a token; a cluster of these tests has one that nobody else knows.
os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"] = "token", secrets.token_hex(32)
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RTBENCH_CHECKPOINT_SECONDS"] = "0.2"
os.environ["OMP_NUM_THREADS"] = "1"
