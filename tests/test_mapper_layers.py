"""The layers' fast paths for training compute the same as the plain ones, forward and backward."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mapper.network.layers import attend, read_off

STEPS, WIDTH = 12, 8


@pytest.mark.parametrize("causal", [False, True])
def test_attention_and_its_gradients_equal_the_fused_kernels(causal):
    torch.manual_seed(0)
    qkv = [torch.randn(2, 3, STEPS, WIDTH).bfloat16().requires_grad_() for _ in range(3)]
    mask = torch.ones(2, 1, 1, STEPS, dtype=torch.bool)
    mask[1, ..., 9:] = False
    seen = mask & torch.ones(STEPS, STEPS, dtype=torch.bool).tril() if causal else mask
    plain = functional.scaled_dot_product_attention(*(one.float() for one in qkv), attn_mask=seen)
    fast = attend(*qkv, mask, causal).float()
    torch.testing.assert_close(fast, plain, atol=0.02, rtol=0.02)
    weights = torch.randn_like(plain)
    for one, other in zip(
        torch.autograd.grad((fast * weights).sum(), qkv), torch.autograd.grad((plain * weights).sum(), qkv), strict=True
    ):
        torch.testing.assert_close(one, other, atol=0.05, rtol=0.05)


def test_reading_off_frames_while_training_equals_reading_them_off_for_good():
    torch.manual_seed(0)
    frames, slot_frame = torch.randn(2, 30, 5, requires_grad=True), torch.rand(2, 11) * 34 - 2  # some outside
    training = read_off(frames, slot_frame)
    with torch.no_grad():
        torch.testing.assert_close(training, read_off(frames, slot_frame))
    rows = torch.arange(2)[:, None]
    position = slot_frame.clamp(0, 28.999)
    before = position.long()
    share = (position - before)[..., None]
    by_hand = frames[rows, before] * (1 - share) + frames[rows, before + 1] * share
    torch.testing.assert_close(
        torch.autograd.grad((training**2).sum(), frames)[0], torch.autograd.grad((by_hand**2).sum(), frames)[0]
    )
