"""TritonBench-G, as GEAK-eval revised it."""
