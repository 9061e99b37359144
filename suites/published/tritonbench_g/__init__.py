"""TritonBench-G, as published."""
