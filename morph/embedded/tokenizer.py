"""The embedded model's own small tokenizer: CLIP's byte-level BPE, trained on the words of its captions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer

MAX_LENGTH = 32
START, END = "<|startoftext|>", "<|endoftext|>"

PROMPT_WORDS = [
    "a",
    "an",
    "the",
    "of",
    "and",
    "or",
    "with",
    "in",
    "on",
    "at",
    "by",
    "to",
    "from",
    "into",
    "over",
    "under",
    "near",
    "between",
    "two",
    "three",
    "many",
    "one",
    "photo",
    "photograph",
    "picture",
    "painting",
    "drawing",
    "sketch",
    "portrait",
    "close-up",
    "face",
    "head",
    "body",
    "view",
    "scene",
    "landscape",
    "sharp",
    "blurry",
    "noisy",
    "distorted",
    "double",
    "exposure",
    "clean",
    "detailed",
    "high",
    "low",
    "quality",
    "good",
    "bad",
    "best",
    "worst",
    "beautiful",
    "ugly",
    "smooth",
    "grainy",
    "bright",
    "dark",
    "colourful",
    "colorful",
    "soft",
    "clear",
    "2D",
    "3D",
    "render",
    "realistic",
    "artifact",
    "red",
    "green",
    "blue",
    "yellow",
    "orange",
    "purple",
    "pink",
    "white",
    "black",
    "brown",
    "grey",
    "gray",
    "golden",
    "silver",
    "small",
    "large",
    "big",
    "little",
    "old",
    "young",
    "new",
    "happy",
    "sad",
    "smiling",
    "sitting",
    "standing",
    "running",
    "flying",
    "looking",
    "man",
    "woman",
    "boy",
    "girl",
    "child",
    "baby",
    "people",
    "person",
    "astronaut",
    "human",
    "king",
    "queen",
    "cat",
    "kitten",
    "dog",
    "puppy",
    "raccoon",
    "fox",
    "tiger",
    "lion",
    "bear",
    "bird",
    "horse",
    "fish",
    "monkey",
    "animal",
    "wolf",
    "owl",
    "mouse",
    "flower",
    "tree",
    "leaf",
    "grass",
    "garden",
    "forest",
    "mountain",
    "sea",
    "ocean",
    "beach",
    "river",
    "lake",
    "sky",
    "cloud",
    "sun",
    "moon",
    "star",
    "snow",
    "ice",
    "rain",
    "fire",
    "water",
    "night",
    "day",
    "morning",
    "evening",
    "sunset",
    "sunrise",
    "summer",
    "winter",
    "house",
    "city",
    "street",
    "building",
    "bridge",
    "road",
    "window",
    "door",
    "room",
    "table",
    "cup",
    "coffee",
    "food",
    "fruit",
    "bread",
    "car",
    "boat",
    "ship",
    "train",
    "plane",
    "rocket",
    "bicycle",
    "space",
    "planet",
    "earth",
]
"""Words of prompts that the captions lack; in the vocabulary so that later training can give them meaning."""


def train_tokenizer(captions: Iterable[str], size: int = 1536) -> CLIPTokenizer:
    """Learn at most ``size`` tokens from the distinct words of the captions and ``PROMPT_WORDS``.

    Every word counts once, whatever its caption's frequency, so that rare names keep whole tokens.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = sorted({word for caption in captions for word in caption.lower().split()} | set(PROMPT_WORDS))
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    room = size - 2 * len(alphabet) - 2
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    bpe.train_from_iterator((word.lower() for word in words), trainer)
    merges = [tuple(pair) for pair in json.loads(bpe.to_str())["model"]["merges"]][:room]
    letters = [*alphabet, *(letter + "</w>" for letter in alphabet)]
    tokens = dict.fromkeys([*letters, *("".join(pair) for pair in merges), START, END])
    return CLIPTokenizer(
        vocab={token: i for i, token in enumerate(tokens)},
        merges=merges,  # type: ignore[arg-type]  # pairs, whatever its annotation says
        bos_token=START,
        eos_token=END,
        pad_token=END,
        unk_token=END,
        model_max_length=MAX_LENGTH,
    )


def save_tokenizer(captions: Sequence[str], folder: Path) -> CLIPTokenizer:
    """Train, save to ``folder`` and read back, so that what trains is what ships.

    One that is there already is read: trained again it would be another, since ties are broken at random.
    """
    if not folder.is_dir():
        partial = folder.with_suffix(".partial")
        train_tokenizer(captions).save_pretrained(partial)
        partial.replace(folder)
    return CLIPTokenizer.from_pretrained(folder)
