"""Clocks and limits: against loops with a known time."""

import time

import torch

from gmmlearn.deep.speed import (
    Stopwatch,
    clock,
    copy_rate,
    peak_memory,
    product_rate,
    seconds_of,
)

CPU = torch.device("cpu")


def busy(seconds):
    began = time.process_time()
    while time.process_time() < began + seconds:
        pass


def test_the_processor_s_clock_counts_work_not_waiting():
    began = clock(CPU)
    time.sleep(0.05)
    waited = clock(CPU) - began
    busy(0.05)
    assert waited < 0.03 < clock(CPU) - began - waited


def test_the_least_time_counts_and_the_first_call_does_not():
    calls = iter([0.05, 0.02, 0.01, 0.02])
    assert 0.009 < seconds_of(lambda: busy(next(calls)), CPU, repeats=3) < 0.019
    assert next(calls, None) is None


def test_a_stopwatch_leaves_out_the_first_steps():
    watch, x = Stopwatch(2, 4), torch.ones(3, 1, dtype=torch.float64)
    for seconds in (0.1, 0.05, 0.02, 0.02):
        busy(seconds)
        zeros = watch(None, None, x)
    assert 0.019 < watch.seconds_per_step < 0.03
    assert torch.equal(zeros, torch.zeros(3, dtype=torch.float64))


def test_limits_are_those_of_a_machine(monkeypatch):
    side, n_bytes = 200, 2**20
    monkeypatch.setattr("gmmlearn.deep.speed._SIDES", {"cpu": side})
    monkeypatch.setattr("gmmlearn.deep.speed._BYTES", {"cpu": n_bytes})
    monkeypatch.setattr("gmmlearn.deep.speed.seconds_of", lambda function, device: 0.5)
    assert product_rate(CPU) == side**3 / 0.5
    assert copy_rate(CPU) == 2 * n_bytes / 0.5  # read and written


def test_peak_memory_sees_what_a_process_holds():
    before = peak_memory(CPU)
    block = torch.ones(2**26, dtype=torch.uint8)
    assert before > 2**24 and peak_memory(CPU) >= max(before, block.numel())
