"""Training speed: tokens/s of `promptai finetune` beside the same model's plain forward-backward loop.

    python -m benchmarks.training DATA [--recipe FILE] [--steps 24]

DATA is a folder of `promptai synthesize`. One model, one process: after every few steps of the trainer on real rows the plain
loop (8 x 128 random tokens, loss everywhere, no optimizer) takes its turn on the same model, so that both meet the same load.
Tokens of the trainer are counted without padding, and its time includes optimizer, data and logging.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from pipeline.training.base import base_model
from pipeline.training.encoding import encode
from pipeline.training.finetune import read_data
from pipeline.training.lora import load_base, load_tokenizer
from pipeline.training.recipe import read_recipe
from pipeline.training.trainer import CompletionTrainer, training_arguments

ROUND = 4
"""Steps of the trainer between two turns of the plain loops."""
SHAPE = (8, 128)


class Turns(TrainerCallback):
    """Times the trainer's steps, and gives the plain loops their turns."""

    def __init__(self, vocabulary: int) -> None:
        self.rounds: list[dict[str, float]] = []
        """Tokens a second in each round."""
        self._ids = torch.randint(vocabulary, SHAPE)
        self._began = 0.0
        self._tokens = 0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002 - the library's
        if state.global_step % ROUND:
            return
        seconds, tokens = time.perf_counter() - self._began, state.num_input_tokens_seen - self._tokens
        if self._began:  # the first round warms up
            turn = {"finetune": float(tokens) / seconds}
            turn |= {name: self._plain(kwargs["model"], autocast) for name, autocast in PLAIN.items()}
            self.rounds.append(turn)
            print("  ".join(f"{name} {speed:6.0f}" for name, speed in turn.items()), flush=True)
        else:
            self._plain(kwargs["model"], autocast=True)
        self._tokens, self._began = state.num_input_tokens_seen, time.perf_counter()

    def _plain(self, model: Any, autocast: bool) -> float:
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = model(input_ids=self._ids, labels=self._ids, use_cache=False).loss
        loss.backward()
        model.zero_grad()
        return self._ids.numel() / (time.perf_counter() - began)


PLAIN = {"plain": False, "plain, autocast": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--recipe", type=Path, default=Path("manifests/training/cpu-135m.yaml"))
    parser.add_argument("--base")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--cache", type=Path, default=Path("data/bases"))
    options = parser.parse_args()
    recipe = read_recipe(options.recipe, max_steps=options.steps, base=options.base, save_steps=10**6)
    folder = base_model(recipe.base, options.cache)
    tokenizer, model = load_tokenizer(folder), load_base(folder, recipe)
    examples = encode(read_data(options.data, recipe.skills).train, tokenizer, recipe.max_tokens).examples
    turns = Turns(model.config.vocab_size)
    with tempfile.TemporaryDirectory() as out:
        args = training_arguments(recipe, Path(out), cpu=True)
        args.save_strategy = "no"
        CompletionTrainer(model, tokenizer, examples, {}, recipe, args, [turns]).run(None)
    print(f"\n{len(turns.rounds)} rounds of {ROUND} steps on {torch.get_num_threads()} threads, tokens/s, median:")
    for name in turns.rounds[0]:
        ratio = statistics.median(turn["finetune"] / turn[name] for turn in turns.rounds)
        print(
            f"{name:16} {statistics.median(turn[name] for turn in turns.rounds):6.0f}   finetune is {ratio:.0%} of it"
        )


if __name__ == "__main__":
    main()
