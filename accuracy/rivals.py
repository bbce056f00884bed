"""Other counters on the same requests: litellm's, LangChain's, and tiktoken with 3 a message."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import warnings
from typing import TYPE_CHECKING, Any, cast

from agentfuse.messages import Media, Message, Text
from agentfuse.tokens.encodings import encoding_of
from agentfuse.tokens.families import bare, family_of
from agentfuse.tokens.wires import request_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from recordings import Recording

_PER_MESSAGE = 3
_OFFLINE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "HF_HUB_OFFLINE": "1"}


def rivals() -> dict[str, Callable[[Recording], int | None]]:
    """Give each rival that is installed: a count, or None where it has no answer."""
    os.environ.update(_OFFLINE)
    _serve_vocabularies()
    logging.disable(logging.CRITICAL)
    found: dict[str, Callable[[Recording], int | None]] = {"tiktoken": _plain}
    with contextlib.suppress(ImportError):
        found["litellm"] = _litellm()
    with contextlib.suppress(ImportError):
        found["langchain"] = _langchain()
    return found


def _serve_vocabularies() -> None:
    """Hand tiktoken the vocabularies it would fetch."""
    from tiktoken import registry

    registry.ENCODINGS["o200k_base"] = encoding_of("o200k_base")
    registry.ENCODINGS["cl100k_base"] = encoding_of("cl100k_base")


def chat_of(recording: Recording) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Write a recording's messages and tools in the chat dialect, which the rivals read."""
    given = request_of(recording.body, recording.model, recording.api, recording.provider)
    if recording.api == "chat.completions":
        return recording.body["messages"], list(recording.body.get("tools") or ())
    tools = []
    for tool in given.tools:
        function = {key: tool[key] for key in ("name", "description") if tool.get(key)}
        schema = tool.get("parameters") or tool.get("input_schema")
        if "name" in function:
            shape = schema or {"type": "object", "properties": {}}
            tools.append({"type": "function", "function": {**function, "parameters": shape}})
    return [_chat_message(message) for message in given.messages], tools


def _chat_message(message: Message) -> dict[str, Any]:
    pictures = any(isinstance(part, Media) and part.kind == "image" for part in message.parts)
    content: Any = [_block(part) for part in message.parts] if pictures else message.text
    role = "assistant" if message.role == "model" else message.role or "user"
    found: dict[str, Any] = {"role": role, "content": content}
    if message.tool_calls:
        found["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        found |= {"role": "tool", "tool_call_id": message.tool_call_id}
    return found


def _block(part: Any) -> dict[str, Any]:
    if isinstance(part, Media) and part.kind == "image":
        address = part.url or f"data:image/png;base64,{part.data}"
        return {"type": "image_url", "image_url": {"url": address}}
    return {"type": "text", "text": part.text if isinstance(part, Text) else ""}


def _plain(recording: Recording) -> int:
    messages, _ = chat_of(recording)
    encoding = encoding_of("o200k_base")
    return 3 + sum(
        _PER_MESSAGE + len(encoding.encode_ordinary(_text_of(message))) for message in messages
    )


def _text_of(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(str(block.get("text", "")) for block in content if isinstance(block, dict))


def _litellm() -> Callable[[Recording], int | None]:
    import litellm

    def count(recording: Recording) -> int | None:
        messages, tools = chat_of(recording)
        # It would fetch the tokenizers of all but Claude, whose it brings along.
        claude = family_of(recording.model).name.startswith("claude")
        litellm.disable_hf_tokenizer_download = not claude
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                return cast(
                    "int",
                    litellm.token_counter(
                        model=recording.model,
                        messages=cast("Any", messages),
                        tools=cast("Any", tools or None),
                        tool_choice=recording.body.get("tool_choice"),
                    ),
                )
        except Exception:  # noqa: BLE001 - a rival that fails has no answer
            return None

    return count


def _langchain() -> Callable[[Recording], int | None]:
    from langchain_core.messages import convert_to_messages
    from langchain_openai import ChatOpenAI

    def count(recording: Recording) -> int | None:
        if not family_of(recording.model, recording.provider).name.startswith("openai"):
            return None
        messages, tools = chat_of(recording)
        if "://" in json.dumps(messages) and not recording.shown:
            return None  # it would fetch the picture
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = ChatOpenAI(model=bare(recording.model), api_key=cast("Any", "none"))
                read = convert_to_messages(messages)
                return model.get_num_tokens_from_messages(read, tools=tools or None)
        except Exception:  # noqa: BLE001 - a rival that fails has no answer
            return None

    return count
