"""A local task of Inspect: sums, with a tool that adds."""

from inspect_ai import Task, task
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.scorer import match
from inspect_ai.solver import generate, use_tools
from inspect_ai.tool import tool


@tool
def add():
    async def execute(x: int, y: int):
        """Add two numbers.

        Args:
            x: First number to add.
            y: Second number to add.
        """
        return str(x + y)

    return execute


@task
def tools():
    return Task(
        dataset=json_dataset("../cpu-vllm/sums.jsonl", FieldSpec(input="question", target="answer", id="id")),
        solver=[use_tools(add()), generate(max_tokens=64, temperature=0)],
        scorer=match(numeric=True),
    )
