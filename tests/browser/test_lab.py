"""The harness drives a real JupyterLab: what the tests beside this one stand on."""

from playwright.sync_api import expect

from tests.browser.lab import written


def test_cells_run_stop_and_forget(notebook):
    forever = "import asyncio\nprint('begun')\nwhile True:\n    await asyncio.sleep(0.1)"
    page = notebook("x = 20", "print(x + 1)", forever, "print('!')")
    page.run_cell(0)
    page.run_cell(1)
    assert page.text(1) == "21"

    page.run_all(wait=False)
    expect(page.output(2)).to_contain_text("begun")
    page.press_stop()
    page.wait_idle()
    assert "CancelledError" in page.text(2) or "KeyboardInterrupt" in page.text(2)
    assert page.text(3) == ""

    page.restart_kernel()
    page.run_cell(1)
    assert "NameError" in page.text(1)
    assert page.errors == []


def test_a_widget_a_reload_a_theme_and_the_file(notebook, tmp_path):
    page = notebook("import ipywidgets\nipywidgets.HTML('<b role=note>here</b>')", "1 + 1")
    page.run_all()
    expect(page.output(0).get_by_role("note")).to_have_text("here")

    page.switch_theme("JupyterLab Dark")
    assert page.page.evaluate("document.body.dataset.jpThemeLight") == "false"
    assert page.screenshot(tmp_path / "dark.png").stat().st_size > 10_000

    assert page.save().cells[1].outputs[0]["data"]["text/plain"] == "2"
    page.reload()
    assert page.text(1) == "2"


def test_the_next_page_is_light_again_and_sees_no_other_machine(notebook):
    page = notebook("1")
    assert page.page.evaluate("document.body.dataset.jpThemeLight") == "true"
    told = page.page.evaluate("fetch('http://example.org').then(() => 'reached', () => 'refused')")
    assert told == "refused"
    assert page.strangers == ["http://example.org/"]
    page.strangers.clear()


def test_a_copy_of_a_file_lives_on_without_its_kernel(notebook_from, tmp_path):
    original = written(tmp_path / "mine.ipynb", ("open('left.txt', 'w').close()", "print('ran')"))
    page = notebook_from(original)
    page.run_all()
    assert page.path != original
    assert page.path.with_name("left.txt").exists()
    page.end_kernel()
    assert page.text(1).startswith("ran")  # ipykernel may leave a farewell below it
    assert page.lab.ask("kernels") == []
