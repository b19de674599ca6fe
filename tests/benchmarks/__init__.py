"""Measurements on generated libraries; `python -m tests.benchmarks` runs them and prints ratios."""
