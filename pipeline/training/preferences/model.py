"""The model that ratings train: the base with the adapter to improve, or with one that changes nothing yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import TrainingError
from pipeline.training.adapter import WEIGHTS
from pipeline.training.lora import load_base, lora_config
from pipeline.training.preferences.parent import Improved
from pipeline.training.preferences.recipe import PreferenceRecipe


def load_policy(folder: Path, recipe: PreferenceRecipe, parent: Improved | None) -> Any:
    """PEFT's model on the base in `folder`, with the parent's weights where there is one.

    The configuration is written anew rather than taken over: no dropout, and no option of an unknown PEFT version.
    """
    import torch  # noqa: PLC0415 - seconds of imports, where they are needed
    from peft import get_peft_model, set_peft_model_state_dict  # noqa: PLC0415
    from safetensors.torch import load_file  # noqa: PLC0415

    plain = recipe.as_plain()
    base = load_base(folder, plain)
    torch.manual_seed(recipe.seed)  # where the adapter begins at the base, half of it is drawn
    model = get_peft_model(base, lora_config(plain))
    if parent is not None:
        loaded: Any = set_peft_model_state_dict(model, load_file(parent.folder / WEIGHTS))
        if loaded.unexpected_keys:  # `check_parent` has read them: this would be another PEFT's naming
            raise TrainingError(f"{parent.folder} holds {loaded.unexpected_keys[0]}, which PEFT does not know.")
    return model
