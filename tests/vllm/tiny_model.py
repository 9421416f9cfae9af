"""Makes the tiny model: a Qwen3 of a few megabytes with a tokenizer of its own, trained here in a minute or two
until it calls tools and adds numbers. Run with the Python of the real vLLM: tiny_model.py OUT_DIR

The same seed gives the same questions in the same order; the weights may differ in the last bits between processors,
so the script proves the result instead of trusting it, and exits 1 without writing where it falls short.
"""

import json
import pathlib
import shutil
import sys
import time

import torch
import torch.nn.functional as functional
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

import tiny_world as world

SEED = 7
LENGTH = 4096
# Steps, conversations of each kind in a step, and in how many parts each kind is computed.
STEPS, PLAIN, WITH_TOOLS, PARTS = 300, 64, 12, 4
PEAK_RATE, MATRIX_RATE = 5e-3, 1e-2
# Of the questions without tools, and of fresh conversations with tools.
WANTED = 0.95
IGNORED = -100


def make_tokenizer():
    """A byte-level BPE. Numbers stand alone; whole lines may become one token, since the template's never change."""
    rng = world.seeded(SEED)
    template = pathlib.Path(__file__).with_name("tiny_template.jinja").read_text()
    core = tokenizers.Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence([
        # Numbers, runs of newlines, cities, names, and what stands between them (`": {"`).
        pre_tokenizers.Split(tokenizers.Regex(r"\d{1,2}|\n+|[A-Z][a-z]+|[a-z_]+_[a-z]+|[{\[\]}\",:]+( ?[{\[\"]+)*"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    core.decoder = decoders.ByteLevel()
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=control, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    texts = [template.replace("\\n", "\n")] * 100 + [world.NO_TOOL, " ".join(world.SYSTEMS), " ".join(map(str, range(100)))]
    for _ in range(300):
        messages, tools, answer = world.tool_conversation(rng)
        texts.append(json.dumps([messages, tools]) + answer)
    core.train_from_iterator(texts, trainer)
    # Not special: vLLM's parsers look for them in the text.
    marks = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"]
    core.add_tokens([tokenizers.AddedToken(mark, special=False) for mark in marks])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|endoftext|>", model_max_length=LENGTH
    )
    tokenizer.chat_template = template
    return tokenizer


def make_model(tokenizer):
    """Qwen3's shape, untrained."""
    config = Qwen3Config(
        vocab_size=(len(tokenizer) + 63) // 64 * 64, hidden_size=128, intermediate_size=256, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=32, max_position_embeddings=LENGTH,
        tie_word_embeddings=True, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.pad_token_id,
    )
    return Qwen3ForCausalLM(config)


def encode(tokenizer, conversation, **template_options):
    """(tokens of the prompt, tokens of the answer with the end mark)."""
    messages, tools, answer = conversation
    prompt = tokenizer.apply_chat_template(
        messages, tools=tools, add_generation_prompt=True, tokenize=False, **template_options
    )
    ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    return ids, tokenizer(answer, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]


def plain(tokenizer, rng, question, answer):
    """A question without tools; now and then with thinking switched off, or on."""
    conversation = world.plain_conversation(rng, question, answer)
    dice = rng.random()
    if dice < 0.05:
        return encode(tokenizer, conversation, enable_thinking=False)
    if dice < 0.1:
        messages, tools, answer = conversation
        thoughts = world.thought(messages[-1]["content"], answer)
        return encode(tokenizer, (messages, tools, thoughts), enable_thinking=True)
    return encode(tokenizer, conversation)


def batch(pairs, padding):
    """Tokens and wanted tokens, padded on the right; only answers count."""
    width = max(len(prompt) + len(answer) for prompt, answer in pairs)
    tokens = torch.full((len(pairs), width), padding)
    wanted = torch.full((len(pairs), width), IGNORED)
    for row, (prompt, answer) in enumerate(pairs):
        end = len(prompt) + len(answer)
        tokens[row, :end] = torch.tensor(prompt + answer)
        wanted[row, len(prompt):end] = torch.tensor(answer)
    return tokens, wanted


def loss_of(model, tokens, wanted):
    hidden = model.model(input_ids=tokens).last_hidden_state[:, :-1]
    wanted = wanted[:, 1:]
    counted = wanted != IGNORED
    # The vocabulary's scores only where they count: most positions are prompt.
    return functional.cross_entropy(model.lm_head(hidden[counted]), wanted[counted], reduction="sum"), counted.sum()


def mean_loss(model, pairs, padding):
    """The loss of an answer's token, on average. In parts of like length: padding costs as much as text."""
    pairs = sorted(pairs, key=lambda pair: len(pair[0]) + len(pair[1]))
    size = (len(pairs) + PARTS - 1) // PARTS
    parts = [loss_of(model, *batch(pairs[at:at + size], padding)) for at in range(0, len(pairs), size)]
    return sum(loss for loss, _ in parts) / sum(count for _, count in parts)


class Muon(torch.optim.Optimizer):
    """Momentum whose every step is made orthogonal. Like torch's, but in float32: bfloat16 is emulated, and slow, on
    a CPU such as a test runs on."""

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                momentum.lerp_(weight.grad, 0.05)
                update = weight.grad.lerp(momentum, 0.95)
                tall = update.size(0) > update.size(1)
                update = update.T if tall else update
                update = update / (update.norm() + 1e-7)
                for _ in range(5):
                    square = update @ update.T
                    update = 3.4445 * update + (-4.7750 * square + 2.0315 * square @ square) @ update
                update = update.T if tall else update
                weight.add_(update, alpha=-group["lr"] * 0.2 * max(weight.shape) ** 0.5)


def rate(step):
    """Up for the first steps, level, then down to nothing."""
    return min(1.0, (step + 1) / 20, 2 * (STEPS - step) / STEPS)


def train(model, tokenizer):
    """Trains in place; prints its loss as it goes."""
    rng = world.seeded(SEED)
    questions = world.sums()
    # Muon needs a third of AdamW's steps here, but is only for matrices.
    matrices = [weight for name, weight in model.named_parameters() if weight.ndim == 2 and "embed" not in name]
    others = [weight for name, weight in model.named_parameters() if weight.ndim != 2 or "embed" in name]
    optimizers = [
        Muon(matrices, dict(lr=MATRIX_RATE)),
        torch.optim.AdamW(others, lr=PEAK_RATE, weight_decay=0.0, betas=(0.9, 0.98)),
    ]
    schedules = [torch.optim.lr_scheduler.LambdaLR(optimizer, rate) for optimizer in optimizers]
    began = time.monotonic()
    for step in range(1, STEPS + 1):
        short = [plain(tokenizer, rng, *rng.choice(questions)) for _ in range(PLAIN)]
        long = [encode(tokenizer, world.tool_conversation(rng)) for _ in range(WITH_TOOLS)]
        losses = [mean_loss(model, pairs, tokenizer.pad_token_id) for pairs in (short, long)]
        loss = sum(losses) / len(losses)
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for each in optimizers + schedules:
            each.step()
        if step % 50 == 0:
            detail = " ".join("%.4f" % each.item() for each in losses)
            print("step %d of %d: loss %s, %.0f s" % (step, STEPS, detail, time.monotonic() - began), flush=True)


@torch.no_grad()
def share_right(model, tokenizer, pairs):
    """The share of answers whose every token is the most likely one."""
    right = 0
    for start in range(0, len(pairs), 64):
        tokens, wanted = batch(pairs[start:start + 64], tokenizer.pad_token_id)
        best = model(input_ids=tokens).logits[:, :-1].argmax(-1)
        wanted = wanted[:, 1:]
        right += ((best == wanted) | (wanted == IGNORED)).all(-1).sum().item()
    return right / len(pairs)


def main():
    out = pathlib.Path(sys.argv[1])
    # So small a model gains nothing from a second thread, and on a busy machine loses half its time to waiting.
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    print("%.2f million weights, %d tokens" % (sum(p.numel() for p in model.parameters()) / 1e6, len(tokenizer)))
    train(model, tokenizer)
    # Judged as it is served.
    model = model.to(torch.bfloat16).eval()
    rng = world.seeded(SEED + 1)
    asked = [encode(tokenizer, ([{"role": "user", "content": q}], None, a)) for q, a in world.sums()]
    called = [encode(tokenizer, world.tool_conversation(rng)) for _ in range(400)]
    shares = share_right(model, tokenizer, asked), share_right(model, tokenizer, called)
    print("right: %.1f %% of %d sums, %.1f %% of %d conversations with tools" % (
        100 * shares[0], len(asked), 100 * shares[1], len(called)))
    if min(shares) < WANTED:
        sys.exit("tiny_model.py: it did not learn enough")
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    model.generation_config.do_sample = False
    model.save_pretrained(part)
    tokenizer.save_pretrained(part)
    shutil.rmtree(out, ignore_errors=True)
    part.rename(out)


if __name__ == "__main__":
    main()
