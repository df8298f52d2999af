"""Embeddings of Bedrock's ``invoke_model``: what is sent, and what the answer says. Pure: neither the SDK nor a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["batch_of", "embedding_body", "vectors_of"]

_COHERE_BATCH = 96


def batch_of(model_id: str) -> int:
    """How many texts a model embeds in one call."""
    return _COHERE_BATCH if _is_cohere(model_id) else 1


def embedding_body(model_id: str, texts: Sequence[str], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a call: Amazon Titan's with one text, or Cohere's with several.

    Cohere wants to be told what the vectors are for: it is ``search_document`` unless ``input_type`` says otherwise.

    Raises:
        NotImplementedError: The model is of neither family.
    """
    if _is_cohere(model_id):
        return {"texts": list(texts), "input_type": "search_document", **parameters}
    if "titan-embed" in model_id:
        return {"inputText": texts[0], **parameters}
    raise NotImplementedError(
        f"BedrockModel embeds texts with the models of Amazon Titan and Cohere, not with {model_id}"
    )


def vectors_of(raw: Mapping[str, Any]) -> list[list[float]]:
    """The vectors of an answer, in order."""
    if "embedding" in raw:
        return [raw["embedding"]]
    vectors = raw.get("embeddings", raw.get("embeddingsByType"))
    if isinstance(vectors, dict):
        # By the type of their numbers, of which a caller asks for one.
        vectors = vectors.get("float") or next(iter(vectors.values()))
        return vectors if "embeddings" in raw else [vectors]
    return list(vectors or ())


def _is_cohere(model_id: str) -> bool:
    return "cohere.embed" in model_id
