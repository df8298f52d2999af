"""Requests and responses of embedding calls with Bedrock's ``invoke_model``. Pure functions, without the SDK or a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["batch_of", "body_with_texts", "embedding_body", "vectors_of"]

_COHERE_BATCH = 96


def batch_of(model_id: str) -> int:
    """Return the number of texts that a model embeds in one call.

    Args:
        model_id: The model.
    """
    return _COHERE_BATCH if _is_cohere(model_id) else 1


def embedding_body(model_id: str, text: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a call with one text.

    Cohere requires an ``input_type``, the purpose of the vectors. The default is ``search_document``.

    Args:
        model_id: The model.
        text: The text.
        parameters: The parameters of the request.

    Raises:
        NotImplementedError: The model belongs to neither family.
    """
    if _is_cohere(model_id):
        return {"input_type": "search_document", **parameters, "texts": [text]}
    if "titan-embed" in model_id:
        return {**parameters, "inputText": text}
    raise NotImplementedError(
        f"BedrockModel supports the embedding models of Amazon Titan and Cohere, not {model_id}"
    )


def body_with_texts(body: Mapping[str, Any], texts: Sequence[str]) -> dict[str, Any]:
    """Return the body of a call with several texts: as many as :func:`batch_of` says.

    Args:
        body: The body of a call with one of them.
        texts: The texts.
    """
    return {**body, "texts": list(texts)} if "texts" in body else {**body, "inputText": texts[0]}


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
