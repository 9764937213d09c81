"""How an agent meets a world that does not wait: latencies, clocks, timelines, default policies."""
