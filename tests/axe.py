"""axe-core, run in the page that Playwright shows: what keeps people from using it."""

from typing import Any

from playwright.sync_api import Page

from tests import emulators

SCRIPT = emulators.HERE / "node_modules" / "axe-core" / "axe.min.js"
RUN = """async () => {
    const found = await axe.run(document, {resultTypes: ["violations"]});
    return found.violations.map((each) => ({
        id: each.id,
        impact: each.impact,
        help: each.help,
        where: each.nodes.map((node) => `${node.target.join(" ")}: ${node.html.slice(0, 160)}`),
    }));
}"""
SEVERE = ("serious", "critical")


def violations(page: Page) -> dict[str, Any]:
    """Return what is serious or critical on the page as it is now, rule -> where."""
    page.evaluate(f"() => {{ {SCRIPT.read_text(encoding='utf-8')} }}")
    found = page.evaluate(RUN)
    return {
        f"{each['id']} ({each['impact']}): {each['help']}": each["where"]
        for each in found
        if each["impact"] in SEVERE
    }


def listed(found: dict[str, dict[str, Any]]) -> str:
    """Return what was found on which page, a line for each rule that is broken there."""
    return "\n".join(
        f"{page} | {rule} | {len(where)} times: {where[0]}"
        for page, broken in found.items()
        for rule, where in broken.items()
    )
