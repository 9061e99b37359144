"""Published rows find their task by what was asked, or by the solution that they hold, and give up their code."""

from __future__ import annotations

import pytest

from agents.published import asked, contradicted, extract, owners
from harness.solver import TaskView
from harness.wording import label_alias

LONG = "import torch\n" + "".join(f"x{n} = {n}\n" for n in range(200))


def view(name: str, *wordings: str, labels: tuple[str, ...] = (), suite: str = "tritonbench-g") -> TaskView:
    aliases = tuple(label_alias(each) for each in labels)
    return TaskView(name, suite, "", "", "()", "", 1, "published", aliases, "interpreter", "interpreter", wordings)


ADD = view("add", "Add  two\nvectors.", labels=(f"# add\n{LONG}",))
MULTIPLY = view("multiply", "Multiply two vectors.", labels=(f"# multiply\n{LONG}",))
TWINS = [view(name, f"About {name}.", labels=(LONG + name,)) for name in ("one", "two")]


def test_a_row_is_its_question() -> None:
    assert asked({"prompt": "a", "predict": "b"}) == "a" and asked({"instruction": "c", "predict": None}) == "c"
    assert asked({"task": "add", "predict": "b"}) is None and asked({"prompt": "a"}) is None


@pytest.mark.parametrize(
    ("question", "label", "found"),
    [
        ("Here is an example.\nAdd two   vectors.\nNow answer.", "", ["add"]),
        ("Add two vectors. Multiply two vectors.", "", ["add", "multiply"]),
        ("Subtract.", "", []),
        ("cut sho", f"# add\n{LONG}<|im_end|>", ["add"]),
        ("cut sho", f"# add\n{LONG}"[:800], ["add"]),
        ("cut sho", LONG + "one", []),
    ],
    ids=["instruction", "two instructions", "none", "label", "label cut short", "label of two"],
)
def test_owners(question: str, label: str, found: list[str]) -> None:
    assert [task.name for task in owners(question, label, [ADD, MULTIPLY, *TWINS])] == found


def test_a_label_that_contradicts() -> None:
    tasks = [ADD, MULTIPLY, *TWINS]
    assert contradicted(f"# multiply\n{LONG}", ADD, tasks) is MULTIPLY
    assert contradicted(f"# add\n{LONG}", ADD, tasks) is None
    assert contradicted("an older one", ADD, tasks) is None and contradicted("", ADD, tasks) is None
    assert contradicted(LONG + "two", TWINS[0], tasks) is None, "nobody can tell the two apart"


ANSWER = """Of course.
```python
import torch
SIZE = 4
class Thing:
    def inner(self):
        return SIZE
def add(x, y):
    return x + y
```<|im_end|>"""


def test_faithfully() -> None:
    code = extract(ANSWER, ADD, "faithful")
    assert code is not None and "SIZE = 4" in code and "class Thing" in code and "```" not in code
    assert extract("import torch\n\ndef add(x, y):\n    return x<|EOT|>", ADD, "faithful") == (
        "import torch\n\ndef add(x, y):\n    return x\n"
    )
    assert extract("", ADD, "faithful") is None


def test_as_the_paper_does() -> None:
    assert extract(ANSWER, ADD, "paper") == ANSWER.split("```python")[1].replace("<|im_end|>", ""), "it does not parse"
    whole = extract(ANSWER.replace("```<|im_end|>", ""), ADD, "paper")
    assert whole is not None and "SIZE" not in whole.partition("def ")[0] and "class" not in whole
    assert whole.startswith("import torch\n\n") and "def add(x, y):" in whole and "def inner(self):" in whole
    of_t = extract(ANSWER.replace("```<|im_end|>", ""), view("add", suite="tritonbench-t"), "paper")
    assert of_t is not None and "class Thing" in of_t
