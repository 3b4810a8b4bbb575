"""Random LoRAs of a model's layers, in Kohya's spelling."""

import torch
from safetensors.torch import save_file


def save_lora(path, model, seed=0, size=0.05, texts=True):
    """Write a LoRA of rank 2 of every linear and convolutional layer; returns the file."""
    generator = torch.Generator().manual_seed(seed)
    parts = [("lora_unet_", model.denoiser.network)]
    parts += [("lora_te_text_model_", model.texts.networks[0])] if texts else []
    tensors = {}
    for prefix, network in parts:
        for name, layer in network.named_modules():
            if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
                key = prefix + name.removeprefix("text_model.").replace(".", "_")
                down = torch.randn(2, *layer.weight.shape[1:], generator=generator) * size
                up = torch.randn(len(layer.weight), 2, *[1] * (down.ndim - 2), generator=generator)
                tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up}
                tensors |= {f"{key}.alpha": torch.tensor(2.0)}
    save_file(tensors, path)
    return path
