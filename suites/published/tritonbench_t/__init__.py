"""TritonBench-T, as published."""
