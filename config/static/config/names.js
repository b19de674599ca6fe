/* Names for screen readers, where the scripts of Django's own widgets give none. */
"use strict";

function giveNames() {
    for (const field of document.querySelectorAll("select.select2-hidden-accessible")) {
        const label = field.labels?.[0];
        if (!label) continue;
        label.id ||= `${field.id}_label`;
        const shown = field.nextElementSibling;
        const value = shown?.querySelector("[role=textbox]");
        value?.setAttribute("aria-labelledby", label.id);
        shown?.querySelector("[role=combobox]")?.setAttribute("aria-labelledby", `${label.id} ${value?.id ?? ""}`.trim());
    }
    for (const help of document.querySelectorAll(".help-tooltip[aria-label]")) help.setAttribute("role", "img");
}

// The widgets' own scripts wait for the same event, and come later in the page.
addEventListener("load", () => setTimeout(giveNames));
