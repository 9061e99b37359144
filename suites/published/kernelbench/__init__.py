"""KernelBench, answered in Triton."""
