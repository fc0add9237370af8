"""Actions on the web page in a browser (a page of playwright)."""
from pathlib import Path

TIMEOUT_MS = 60_000  # long enough for a machine under load


def upload(page, elem_id: str, path: Path) -> None:
    """Upload an image and wait until it is shown."""
    page.set_input_files(f'#{elem_id} input[type=file]', str(path))
    page.wait_for_selector(f'#{elem_id} img')


def error_message(page) -> str:
    """The error message that is shown; it is closed."""
    toast = page.locator('.toast-body').first
    toast.wait_for()
    text = toast.inner_text()
    toast.locator('button').last.click()
    page.wait_for_function('!document.querySelector(".toast-body")')
    return text


def open_tab(page, title: str) -> None:
    page.locator('button[role=tab]', has_text=title).first.click()


def choose(page, elem_id: str, option: str) -> None:
    """Select an option of a dropdown."""
    page.click(f'#{elem_id} input')
    page.locator('[role=option]', has_text=option).first.click()


def saved_image(page, selector: str, path: Path) -> Path:
    """Save an image of the page to a file."""
    source = page.locator(selector).first.get_attribute('src')
    path.write_bytes(page.request.get(source).body())
    return path
