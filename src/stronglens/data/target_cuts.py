"""Conditions on columns of a table, written as "mag_r<21.5" or "mag_g - mag_r > 0.8".

Which columns a table has is known to `stronglens.data.target_tables`.
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from stronglens.core.errors import OutOfRangeError

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def columns_of(cuts: Sequence[str]) -> list[str]:
    """Names of the columns that conditions speak of.

    Args:
        cuts: Conditions.

    Raises:
        OutOfRangeError: A condition is not one.
    """
    trees = [_parsed(cut) for cut in cuts]
    names = [node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return list(dict.fromkeys(names))


def passes(cuts: Sequence[str], columns: Mapping[str, np.ndarray], n: int) -> Bool[np.ndarray, "n"]:
    """Rows that meet all conditions; a value that is missing meets none.

    Args:
        cuts: Conditions.
        columns: Columns by name, all of length n.
        n: Number of rows.
    """
    chosen = np.ones(n, bool)
    with np.errstate(invalid="ignore", divide="ignore"):
        for cut in cuts:
            tree = _parsed(cut)
            values = [_value(part, columns) for part in (tree.left, *tree.comparators)]
            for compare, left, right in zip(tree.ops, values, values[1:], strict=False):
                chosen &= np.asarray(_COMPARISONS[type(compare)](left, right), bool)
            chosen &= ~np.logical_or.reduce([_is_missing(value, n) for value in values])
    return chosen


def _parsed(cut: str) -> ast.Compare:
    """Tree of a condition of numbers, names, + - * / and comparisons."""
    try:
        tree = ast.parse(cut.strip(), mode="eval").body
    except SyntaxError as error:
        raise _refusal(cut) from error
    if not isinstance(tree, ast.Compare) or any(type(op) not in _COMPARISONS for op in tree.ops):
        raise _refusal(cut)
    for part in (tree.left, *tree.comparators):
        _check(part, cut)
    return tree


def _check(node: ast.expr, cut: str) -> None:
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        _check(node.left, cut)
        _check(node.right, cut)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        _check(node.operand, cut)
    elif not isinstance(node, ast.Name | ast.Constant):
        raise _refusal(cut)


def _value(node: ast.expr, columns: Mapping[str, np.ndarray]) -> Any:  # noqa: ANN401 - number or column
    if isinstance(node, ast.Name):
        return columns[node.id]
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp):
        return -_value(node.operand, columns)
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, columns), _value(node.right, columns)
        return _OPERATIONS[type(node.op)](left, right)
    raise _refusal(ast.dump(node))


def _is_missing(value: Any, n: int) -> np.ndarray:  # noqa: ANN401 - number or column
    """Rows in which a side of a comparison is no number."""
    if np.asarray(value).dtype.kind != "f":
        return np.zeros(n, bool)
    return np.broadcast_to(np.isnan(value), n)


def _refusal(cut: str) -> OutOfRangeError:
    return OutOfRangeError(
        f"cut '{cut}' is no condition; allowed are names of columns, numbers, + - * / and one of "
        "< <= > >= == !=, such as 'mag_r<21.5' or '0.8<mag_g-mag_r<2'. Write it so."
    )
