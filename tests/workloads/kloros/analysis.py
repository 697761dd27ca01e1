"""What a monitor wants to know of a module: which of its functions nobody has documented."""

import ast

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def undocumented(source):
    """The names of functions without a docstring."""
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]
    return [function.name for function in functions if not ast.get_docstring(function)]
