"""What training will need, before it begins: memory of one device, steps, tokens, hours. Pure arithmetic over a recipe.

The terms, each in bytes on one device, n devices sharing what FSDP shards (bf16: 2 bytes, fp32: 4):

    weights       2 x parameters / n                in bf16; in NF4 the projections take 4.127 bits each (4 bits, and 8 + 32/256
                                                    bits of scales for 64 weights: Dettmers et al., 2023, section 3), embeddings
                                                    and norms 16
    gathered      2 layers and the two tables, whole  FSDP gathers one layer and prefetches the next; what is in no layer stays gathered
    adapter       4 x LoRA parameters / n           in fp32 (bf16 where the base is quantised, as `trl` casts them)
    gradients     the same
    optimizer     8 x LoRA parameters / n           two moments of AdamW in fp32
    activations   with checkpointing: 2 x tokens x hidden x layers kept, and one layer's own: its forward pass again;
                  without: every layer's own (Korthikanti et al., 2022, https://arxiv.org/abs/2205.05198, section 4, without the
                  quadratic term, which fused attention does not keep)
    logits        tokens x vocabulary x (2 + 4 + 4) bf16, fp32 and their gradient, for one slice of positions
    reserve       2 GB (CPU: 0.7)                   CUDA's context, NCCL's buffers, fragmentation; on a CPU Python and its libraries

The parameters are exact (a test counts those of built models); the rest is a prediction, and untested at 70B.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.training.recipe import Dimensions, Module, Recipe

GB = 10**9
NF4_BITS = 4 + (8 + 32 / 256) / 64
RESERVE = 2 * GB
RESERVE_ON_CPU = 0.7 * GB
LOGITS_ON_GPU = 4096
"""Positions that `trl` projects at once (`TOKEN_CHUNK_SIZE`), 32,768 words of the vocabulary at a time."""
VOCABULARY_ON_GPU = 32_768


@dataclass(frozen=True, slots=True)
class Parameters:
    """How many numbers a model has."""

    projections: int
    """In the seven projections of all layers."""
    others: int
    """Embeddings, output layer, norms."""
    adapter: int
    """Of LoRA: trained."""

    @property
    def base(self) -> int:
        return self.projections + self.others


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes of one device, by what they are for."""

    weights: float
    gathered: float
    adapter: float
    gradients: float
    optimizer: float
    activations: float
    logits: float
    reserve: float

    @property
    def terms(self) -> tuple[float, ...]:
        """In the fields' order."""
        return tuple(float(getattr(self, name)) for name in self.__dataclass_fields__)

    @property
    def total(self) -> float:
        return sum(self.terms)


def shapes(model: Dimensions) -> dict[Module, tuple[int, int]]:
    """(inputs, outputs) of each projection in one layer."""
    kv = model.hidden // model.heads * model.kv_heads
    return {
        Module.Q: (model.hidden, model.hidden),
        Module.K: (model.hidden, kv),
        Module.V: (model.hidden, kv),
        Module.O: (model.hidden, model.hidden),
        Module.GATE: (model.hidden, model.intermediate),
        Module.UP: (model.hidden, model.intermediate),
        Module.DOWN: (model.intermediate, model.hidden),
    }


def parameters(model: Dimensions, recipe: Recipe) -> Parameters:
    """Of a Llama of these dimensions with the recipe's adapter."""
    layer = shapes(model)
    projections = model.layers * sum(inputs * outputs for inputs, outputs in layer.values())
    tables = (1 if model.tied_embeddings else 2) * model.vocabulary * model.hidden
    norms = (2 * model.layers + 1) * model.hidden
    adapter = model.layers * recipe.rank * sum(sum(layer[module]) for module in recipe.modules)
    return Parameters(projections, tables + norms, adapter)


def need(model: Dimensions, recipe: Recipe) -> Need:
    """Memory of one device while it trains."""
    count = parameters(model, recipe)
    gpus = recipe.hardware.gpus if recipe.hardware else 0
    shared = gpus if recipe.fsdp and gpus else 1
    wide = 2 if recipe.precision == "bf16" else 4
    projection = NF4_BITS / 8 if recipe.quantisation else wide
    weights = count.projections * projection + count.others * wide
    one_layer = count.projections / model.layers
    trained = 2 if recipe.quantisation else 4
    return Need(
        weights=weights / shared,
        gathered=2 * one_layer * projection + count.others * wide if shared > 1 else 0,
        adapter=trained * count.adapter / shared,
        gradients=trained * count.adapter / shared,
        optimizer=2 * trained * count.adapter / shared,
        activations=_activations(model, recipe, wide),
        logits=_logits(model, recipe, on_gpu=gpus > 0),
        reserve=RESERVE if gpus else RESERVE_ON_CPU,
    )


def _activations(model: Dimensions, recipe: Recipe, wide: int) -> float:
    """What the backward pass needs of the forward pass."""
    tokens = max(recipe.batch_tokens, recipe.max_tokens)
    kv = model.hidden // model.heads * model.kv_heads
    # Kept by one layer for each token: inputs of both norms and their results (fp32 inside a norm), queries, keys and values
    # before and after rotation, attention's output, gate, up, their product, its activation.
    own: float = 2 * (wide + 4 + wide) * model.hidden + wide * (3 * model.hidden + 4 * kv + 4 * model.intermediate)
    if recipe.quantisation:
        own += (
            2 * max(inputs * outputs for inputs, outputs in shapes(model).values()) / tokens
        )  # dequantised, one at a time
    if recipe.gradient_checkpointing:
        return tokens * (model.layers * wide * model.hidden + own)
    return tokens * model.layers * own


def _logits(model: Dimensions, recipe: Recipe, *, on_gpu: bool) -> float:
    tokens = max(recipe.batch_tokens, recipe.max_tokens)
    positions, words = (min(tokens, LOGITS_ON_GPU), VOCABULARY_ON_GPU) if on_gpu else (tokens, model.vocabulary)
    # On a GPU in slices, computed again backwards; on the CPU all labelled positions wait for the backward pass.
    return positions * min(words, model.vocabulary) * (2 + 4 + 4)


def flops_a_token(model: Dimensions, recipe: Recipe, length: int) -> float:
    """Floating-point operations to train on one token of a text of `length` tokens.

    Forward 2 a parameter and 2 backwards for the activations' gradients; the frozen weights need no gradient of their own, which
    would be 2 more (Kaplan et al., 2020, https://arxiv.org/abs/2001.08361, section 2.1, gives 6 for training all). Checkpointing
    adds a forward pass. Attention: 4 x hidden x length forwards, half of it by causality.
    """
    count = parameters(model, recipe)
    matrices = count.projections + model.vocabulary * model.hidden
    passes = 3 if recipe.gradient_checkpointing else 2
    attention = passes * 2 * model.layers * model.hidden * length
    return passes * 2 * matrices + attention + 6 * count.adapter
