"""Training, evaluation, ablation and benchmarks."""
