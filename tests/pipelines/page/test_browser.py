"""The page in a real browser: pictures in, places, preview, a render that is stopped, found again and finished."""

import os
import re
import shutil
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

pytest.importorskip("gradio")
pytest.importorskip("playwright")

from playwright import sync_api as playwright

from pipelines.page.desk import Desk
from pipelines.page.serve import Options, served
from tests.pipelines.page.conftest import small

NAMES = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next((found for name in NAMES if (found := shutil.which(name))), None)
PATIENCE = 120_000
"""Milliseconds until something on the page counts as missing."""
pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason=f"no browser: none of {', '.join(NAMES)} is on the path"),
    pytest.mark.slow,
]


@contextmanager
def browsing(address, asked, **look):
    """A page of a browser; ``asked`` gets the address of everything that it fetches."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        context = browser.new_context(**look)
        context.set_default_timeout(PATIENCE)
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#bring input[type=file]", state="attached")
        yield page
        browser.close()


def hosts(asked):
    return {urlsplit(url).netloc for url in asked if url.startswith(("http", "ws"))}


def bring(page, *files):
    page.set_input_files("#bring input[type=file]", [str(file) for file in files])


def choose(page, field, text):
    box = page.locator(f"#{field} input")
    box.click()
    box.fill(text)
    box.press("Enter")


def write(page, field, text):
    box = page.locator(f"#{field} textarea, #{field} input").first
    box.fill(text)
    box.blur()


def mark(page, side, x, y):
    """Click a picture of the editor at a share of its width and height."""
    picture = page.locator("#editor svg").nth(side)
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    picture.click(position={"x": x * box["width"], "y": y * box["height"]})


def drag(page, side, across):
    """Drag the first place of a picture so many pixels to the right."""
    box = page.locator("#editor svg").nth(side).locator(".place circle").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + across, y, steps=4)
    page.mouse.up()


def another(page, before):
    page.wait_for_function(
        "before => { const film = document.querySelector('.preview-film'); return film && film.src !== before; }",
        arg=before,
    )
    return page.locator(".preview-film").get_attribute("src")


def test_a_film_from_pictures_to_download(tmp_path):
    cat, raccoon = small("cat.jpg", tmp_path), small("raccoon.jpg", tmp_path)
    folder, asked = tmp_path / "desk", []
    with served(Options(folder, device="cpu")) as address:
        with browsing(address, asked) as page:
            bring(page, raccoon, cat)
            page.wait_for_selector("#prompt-1")
            page.click("#down-0")
            playwright.expect(page.locator("label:has(#prompt-0), #prompt-0")).to_contain_text("1. cat.jpg")
            write(page, "prompt-0", "a cat")
            first = another(page, "")
            mark(page, 0, 0.4, 0.5)
            mark(page, 1, 0.6, 0.5)
            second = another(page, first)
            drag(page, 1, -30)
            another(page, second)
            choose(page, "kind", "Quick")
            choose(page, "size", "96")
            write(page, "length", "250f")
            page.click("#make")
            page.wait_for_selector(".status img")
            page.click("#stop")
            page.wait_for_selector("#go-on")
            page.reload()
            page.wait_for_selector("#go-on")
            playwright.expect(page.locator("#prompt-0 textarea, #prompt-0 input").first).to_have_value("a cat")
            page.click("#go-on")
            page.wait_for_selector("#stop")
        draft = Desk(folder).draft  # nobody looks, and the render goes on
        assert [shot.file for shot in draft.shots] == ["cat.jpg", "raccoon.jpg"]
        ((xa, ya, xb, yb),) = draft.pairs(*draft.ways[0])
        assert (xa, ya, yb) == pytest.approx((38, 40, 40), abs=4)
        assert xb < 55
        with browsing(address, asked) as page:
            page.wait_for_selector("#film video")
            playwright.expect(page.locator("#title")).to_contain_text("001-cat-raccoon")
            for number, suffix in enumerate((".mp4", ".frames.zip", ".otio", ".mp4.json", ".html")):
                with page.expect_download() as download:
                    page.click(f"#download-{number}")
                assert download.value.suggested_filename == f"001-cat-raccoon{suffix}"
                assert download.value.path().stat().st_size
            page.get_by_role("tab", name="Smoothness").click()
            page.wait_for_selector("#curve svg")
            page.click("#out-1")
            playwright.expect(page.locator("#prompt-1")).to_have_count(0)
            page.click("#again")
            page.wait_for_selector("#prompt-1")
    assert hosts(asked) == {urlsplit(address).netloc}


def test_what_cannot_be_taken_is_said(tmp_path):
    letter, large = tmp_path / "letter.jpg", tmp_path / "large.png"
    letter.write_text("Dear all")
    large.touch()
    os.truncate(large, 200 * 1024**2)
    with served(Options(tmp_path / "desk", device="cpu")) as address, browsing(address, []) as page:
        bring(page, letter)
        words = page.locator(".toast-body, [data-testid=toast-body]")
        playwright.expect(words.first).to_contain_text("letter.jpg: not a PNG")
        page.click("#make")
        playwright.expect(page.get_by_text("needs two pictures").first).to_be_visible()
        bring(page, large)
        playwright.expect(
            page.get_by_text(re.compile("maximum allowed size|larger than", re.I)).first
        ).to_be_visible()
        assert not Desk(tmp_path / "desk").draft.shots


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(tmp_path, scheme):
    look = {"viewport": {"width": 390, "height": 844}, "color_scheme": scheme}
    with served(Options(tmp_path / "desk", device="cpu")) as address, browsing(address, [], **look) as page:
        bring(page, small("cat.jpg", tmp_path), small("raccoon.jpg", tmp_path))
        page.wait_for_selector("#editor svg")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground)[:3])) > 384) == (scheme == "light")
