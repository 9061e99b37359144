"""ROCm's Triton suite with autotuned references, as GEAK-eval publishes it."""
