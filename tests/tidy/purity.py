"""What an engine may not do, found in its syntax tree. An exception says why in place: `# purity: <reason>`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

FORBIDDEN_MODULES = {
    "asyncio": "engines are synchronous: the shell awaits",
    "nats": "a bus carries messages, not an engine",
    "os": "the shell touches the world",
    "random": "draw from the seeded generator in the configuration",
    "secrets": "draw from the seeded generator in the configuration",
    "socket": "the shell touches the world",
    "subprocess": "the shell touches the world",
    "threading": "engines are single threaded",
    "time": "time is an input: read it from the message",
    "uuid": "an identifier is a function of the engine's inputs",
}
FORBIDDEN_CALLS = {
    "datetime.now": "time is an input: read it from the message",
    "datetime.utcnow": "time is an input: read it from the message",
    "datetime.today": "time is an input: read it from the message",
    "date.today": "time is an input: read it from the message",
    "np.random": "draw from the seeded generator in the configuration",
    "numpy.random": "draw from the seeded generator in the configuration",
    "open": "the shell touches files",
    "input": "the shell touches the world",
}
_REASON = re.compile(r"#\s*purity:\s*\S.*")


def violations(tree: ast.Module, lines: list[str]) -> list[tuple[int, str]]:
    """(line, what and why) of each breach that gives no reason in place."""
    found = [breach for node in ast.walk(tree) for breach in _breaches(node, tree)]
    return sorted((line, text) for line, text in found if not _REASON.search(lines[line - 1]))


def _breaches(node: ast.AST, tree: ast.Module) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _module(node.lineno, alias.name)
    elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
        yield from _module(node.lineno, node.module)
    elif isinstance(node, (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)):
        yield node.lineno, "async: engines are synchronous"
    elif isinstance(node, (ast.Attribute, ast.Name)):
        dotted = _dotted(node)
        for call, why in FORBIDDEN_CALLS.items():
            # A bare name is a breach only where it is called: `open` is also a column.
            if "." in call and (dotted == call or dotted.endswith(f".{call}")):
                yield node.lineno, f"{dotted}: {why}"
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            yield node.lineno, f"{node.func.id}(): {FORBIDDEN_CALLS[node.func.id]}"
        yield from _hash_as_order(node)
        yield from _ordered_from_set(node)
    elif isinstance(node, (ast.For, ast.comprehension)) and _is_set(node.iter):
        yield node.iter.lineno, "iterates a set: its order is the hash seed's; use a list, a dict or sorted()"


def _module(line: int, module: str) -> Iterator[tuple[int, str]]:
    top = module.split(".")[0]
    if top in FORBIDDEN_MODULES:
        yield line, f"imports {module}: {FORBIDDEN_MODULES[top]}"


def _hash_as_order(node: ast.Call) -> Iterator[tuple[int, str]]:
    """`sorted(xs, key=hash)` and its like: the hash of a text changes with the process."""
    for keyword in node.keywords:
        if keyword.arg != "key":
            continue
        for inner in ast.walk(keyword.value):
            if isinstance(inner, ast.Name) and inner.id in ("hash", "id"):
                yield node.lineno, f"orders by {inner.id}(): it differs from process to process"


def _ordered_from_set(node: ast.Call) -> Iterator[tuple[int, str]]:
    """`list({...})`, `tuple(set(x))`, `",".join(set(x))`: iteration in disguise. `sorted` and `len` are not."""
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    ordered = ("list", "tuple", "enumerate", "iter", "next", "map", "zip", "join", "extend", "fromkeys")
    if name in ordered and any(_is_set(argument) for argument in node.args):
        yield node.lineno, f"{name}() of a set: its order is the hash seed's; use sorted()"


def _is_set(node: ast.expr) -> bool:
    if isinstance(node, (ast.Set, ast.SetComp)):
        return True
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitOr, ast.BitAnd, ast.Sub)):
        return _is_set(node.left) or _is_set(node.right)
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("set", "frozenset")


def _dotted(node: ast.Attribute | ast.Name) -> str:
    parts: list[str] = []
    inner: ast.expr = node
    while isinstance(inner, ast.Attribute):
        parts.append(inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        parts.append(inner.id)
    return ".".join(reversed(parts))
