"""Requests and responses of embedding calls with Bedrock's ``invoke_model``. Pure functions, without the SDK or a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["batch_of", "embedding_body", "vectors_of"]

_COHERE_BATCH = 96


def batch_of(model_id: str) -> int:
    """Return the number of texts that a model embeds in one call.

    Args:
        model_id: The model.
    """
    return _COHERE_BATCH if _is_cohere(model_id) else 1


def embedding_body(model_id: str, texts: Sequence[str], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a call: Amazon Titan's with one text, or Cohere's with several.

    Cohere requires an ``input_type``, the purpose of the vectors. The default is ``search_document``.

    Args:
        model_id: The model.
        texts: The texts.
        parameters: The parameters of the request.

    Raises:
        NotImplementedError: The model belongs to neither family.
    """
    if _is_cohere(model_id):
        return {"texts": list(texts), "input_type": "search_document", **parameters}
    if "titan-embed" in model_id:
        return {"inputText": texts[0], **parameters}
    raise NotImplementedError(
        f"BedrockModel supports the embedding models of Amazon Titan and Cohere, not {model_id}"
    )


def vectors_of(raw: Mapping[str, Any]) -> list[list[float]]:
    """Return the vectors of a response, in order.

    Args:
        raw: The provider's JSON.
    """
    if "embedding" in raw:
        return [raw["embedding"]]
    vectors = raw.get("embeddings", raw.get("embeddingsByType"))
    if isinstance(vectors, dict):
        # One list for each number type. A caller requests one type.
        vectors = vectors.get("float") or next(iter(vectors.values()))
        return vectors if "embeddings" in raw else [vectors]
    return list(vectors or ())


def _is_cohere(model_id: str) -> bool:
    return "cohere.embed" in model_id
