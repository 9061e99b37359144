"""ROCm's Triton suite, as GEAK-eval publishes it."""
