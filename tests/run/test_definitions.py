"""Defining something again takes effect at once, also in what was made before, and warns of what breaks."""

import contextlib
import os
import textwrap

import pytest
from jupyter_client.manager import KernelManager

from quire import Pipeline, Process, Step
from tests.kit import ROOT, output_of

BEGIN = """
import asyncio, gc, warnings
from pydantic import BaseModel
from quire import Agent, Pipeline, Process, Step, Tool
from quire.errors import SchemaWarning
from quire.testing import ScriptedModel, in_memory
warnings.simplefilter("always")
class Q(BaseModel):
    text: str
class A(BaseModel):
    text: str
    size: int = 0
@Step
def a(q: Q) -> A:
    return A(text="old " + q.text, size=1)
@Step
def b(x: A) -> str:
    return x.text
def warned(do):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(compile(do, "<cell>", "exec"), globals())
    return [str(w.message) for w in caught if w.category is SchemaWarning]
"""


@pytest.fixture
def printed(tmp_path):
    def printed(text):
        program = BEGIN + textwrap.dedent(text)
        return output_of(program, tmp_path, within=40, PYTHONWARNINGS="default").splitlines()

    return printed


def test_a_tool_defined_again_is_used_at_once(printed):
    assert printed("""
        from quire.testing import ToolUse
        @Tool
        def price(item: str) -> int:
            return 1
        flow = Process(input=Q)
        flow.add(price, inputs={"item": "tea"})
        asked = [ToolUse("price", {"item": "tea"}), "so"] * 2
        clerk = Agent(ScriptedModel(asked), "Sell.", tools=[price])
        with in_memory():
            print(flow.execute_sync(Q(text="x")), clerk.start("tea").wait())
            @Tool
            def price(item: str) -> int:
                return 2
            run = clerk.start("tea")
            print(flow.execute_sync(Q(text="x")), run.wait(), run.tools["result"].tolist())
    """) == ["1 so", "2 so ['2']"]


def test_a_step_defined_again_is_used_at_once_by_every_flow_made_before(printed):
    assert printed("""
        flows = [
            Pipeline(a, b),
            a >> b,
            Process.for_each(a, name="e"),
            Process.race(a, a, name="r"),
            a.with_retry(2),
            a.with_cache(),
        ]
        p = Process(input=Q)
        p.add(b, inputs=p.add(a, retry=2, timeout=5))
        flows.append(p)
        outer = Process(input=Q)
        outer.add(Pipeline(a, b), on_complete=print)
        flows.append(outer)
        with in_memory():
            given = lambda flow: [Q(text="x")] if flow.name == "e" else Q(text="x")
            before = [str(flow.execute_sync(given(flow))) for flow in flows]
            print(warned('''
        @Step
        def a(q: Q) -> A:
            return A(text="new " + q.text, size=1)
        '''))
            after = [str(flow.execute_sync(given(flow))) for flow in flows]
        print(all("old" in text for text in before), all("new" in text for text in after))
    """) == ["old x", "[]", "new x", "True True"]


def test_classes_defined_again_with_the_same_fields_still_fit(printed):
    assert printed("""
        class Order(BaseModel):
            id: int
        class Big(BaseModel):
            orders: list[Order]
            first: Order
        @Step
        def make(q: Q) -> Big:
            return Big(orders=[Order(id=1)], first=Order(id=2))
        @Step
        def ids(big: Big) -> list[int]:
            return [big.first.id, *(o.id for o in big.orders)]
        @Step
        def one(order: Order) -> int:
            return order.id
        p = Process(input=Q)
        big = p.add(make)
        p.add(ids)
        p.add(one, inputs=big.first)
        p.returns(p.add(Process.for_each(one, name="each"), inputs=big.orders))
        flow = Pipeline(make, ids)
        with in_memory():
            print(flow.execute_sync(Q(text="x")), p.execute_sync(Q(text="x")))
            print(warned('''
        class Q(BaseModel):
            text: str
        class Order(BaseModel):
            id: int
        class Big(BaseModel):
            orders: list[Order]
            first: Order
        @Step
        def make(q: Q) -> Big:
            return Big(orders=[Order(id=3)], first=Order(id=4))
        '''))
            print(flow.execute_sync(Q(text="x")), p.execute_sync(Q(text="x")))
    """) == ["[2, 1] [1]", "[]", "[4, 3] [3]"]


def test_another_shape_warns_at_once_and_lists_the_flows_that_break(printed):
    lines = printed("""
        flow = Pipeline(a, b, name="flow")
        desk = Process(input=Q, name="desk")
        made = desk.add(a, inputs={"text": desk.given.text})
        desk.add(b, inputs=made)
        sizes = Process(input=Q, name="sizes")
        sizes.returns(sizes.add(a).size)
        iffy = Process(input=Q, name="iffy")
        iffy.add(b, inputs=iffy.add(a), when="a.size > 0")
        iffy.graph(), desk.graph(), sizes.graph()
        around = Process.race(a, a, name="around")
        gone = Pipeline(a, b, name="gone")
        del gone
        gc.collect()
        print(*warned('''
        @Step
        def a(q: Q, n: int) -> A:
            return A(text="new")
        '''), sep="\\n")
        print("--")
        print(*warned('''
        class A(BaseModel):
            text: str
        @Step
        def a(q: Q) -> A:
            return A(text="new")
        @Step
        def b(x: A) -> str:
            return x.text
        '''), sep="\\n")
        with in_memory():
            print(flow.execute_sync(Q(text="x")))
    """)
    first, second = lines[: lines.index("--")], lines[lines.index("--") + 1 :]
    assert first[0] == "`a` now is (Q, int) -> A, and this will break:"
    assert first[1].startswith("  desk: ")
    assert {line.strip().split(":")[0] for line in first[1:]} >= {"desk", "flow", "iffy", "sizes"}
    assert second[0] == "`a` now is Q -> A, and this will break:"
    assert {line.strip().split(":")[0] for line in second[1:-1]} >= {"iffy", "sizes"}
    assert "no field 'size'" in "\n".join(second)
    assert second[-1] == "new"


def test_a_flow_finds_its_way_anew_when_the_shapes_still_fit(printed):
    assert printed("""
        @Step
        def c(n: int) -> str:
            return f"number {n}"
        flow = Pipeline(a, b, name="flow")
        print(warned('''
        @Step
        def a(q: Q) -> int:
            return 5
        ''')[0].splitlines()[0])
        print(warned('''
        @Step
        def b(x: int) -> str:
            return f"now {x}"
        '''))
        with in_memory():
            print(flow.execute_sync(Q(text="x")))
    """) == ["`a` now is Q -> int, and this will break:", "[]", "now 5"]


def test_a_new_definition_lives_as_long_as_the_flows_that_use_it(printed):
    assert printed("""
        flow = Pipeline(a, b)
        for word in ("one", "two"):
            exec(f"@Step\\ndef a(q: Q) -> A:\\n    return A(text={word!r})")
        del a
        gc.collect()
        with in_memory():
            print(flow.execute_sync(Q(text="x")))
    """) == ["two"]


def test_siblings_from_one_line_of_code_stay_apart_and_are_replaced_one_by_one(printed):
    assert printed("""
        LOOP = '''
        steps = []
        for number in range(3):
            @Step
            def s(n: int, by: int = number) -> str:
                return f"WORD {n * by}"
            steps.append(s)
        '''
        exec(LOOP.replace("WORD", "old"))
        flows = [step.with_retry(2) for step in steps]
        with in_memory():
            print([flow.execute_sync(10) for flow in flows])
            exec(LOOP.replace("WORD", "new"))
            print([flow.execute_sync(10) for flow in flows])
    """) == ["['old 0', 'old 10', 'old 20']", "['new 0', 'new 10', 'new 20']"]


def test_what_is_defined_inside_functions_never_replaces_anything():
    def make(by):
        @Step
        async def work(n: int) -> int:
            return n * by

        return work

    two, three = make(2), make(3)
    assert two.execute_sync(10) == 20
    assert three.execute_sync(10) == 30
    assert Pipeline(two, name="p").execute_sync(1) == 2
    p = Process(input=int)
    p.add(two, inputs=p.given, name="two")
    p.returns(p.add(three, inputs=p.given, name="three"))
    assert p.execute_sync(1) == 3


# In a real kernel


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    """Run cells in one kernel; return what each prints."""
    home = tmp_path_factory.mktemp("kernel")
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(home), env={**os.environ, "PYTHONPATH": str(ROOT), "QUIRE_HOME": str(home)})
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)

    def run(code):
        said = []

        def hear(message):
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "stream":
                said.append(content["text"])
            elif kind == "error":
                said.append("\n".join(content["traceback"]))

        client.execute_interactive(textwrap.dedent(code), timeout=60, output_hook=hear)
        return "".join(said).strip()

    yield run
    client.stop_channels()
    with contextlib.suppress(Exception):
        manager.shutdown_kernel(now=True)


def test_a_cell_run_again_takes_effect_in_flows_made_before(cell):
    cell(
        """
        import warnings
        from pydantic import BaseModel
        from quire import Agent, Pipeline, Process, Step, LLM
        from quire.testing import ScriptedModel
        class Note(BaseModel):
            text: str
        """
    )
    step = """
        @Step
        async def shout(note: Note) -> str:
            return note.text.upper() + "SIGN"
    """
    agent = """
        helper = Agent(ScriptedModel(["WORD"] * 9), "x")
    """
    cell(step.replace("SIGN", "!"))
    cell("\n" + agent.replace("WORD", "first"))
    cell("flow = Pipeline(shout)\nboth = Process.parallel(shout, name='both')\nchain = shout >> helper")
    assert cell("print(await flow.execute(Note(text='a')), await chain.execute(Note(text='a')))") == "A! first"
    assert cell(step.replace("SIGN", "?")) == ""
    assert cell(agent.replace("WORD", "second")) == ""
    assert cell("print(await flow.execute(Note(text='a')), await chain.execute(Note(text='a')))") == "A? second"
    said = cell(step.replace("note: Note", "note: Note, loud: bool"))
    assert "SchemaWarning: `shout` now is (Note, bool) -> str, and this will break:" in said
    for caller in ("both:", "flow:", "chain:"):
        assert caller in said
    cell("class Note(BaseModel):\n    text: str")
    assert cell(step.replace("SIGN", ".")) == ""
    assert cell("print(await flow.execute(Note(text='a')))") == "A."
