// Unfold's palette, from any field, and with an Enter that need not wait for the list.
(() => {
  let listed = "";

  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target.id !== "command-results") return;
    listed = new URL(detail.xhr.responseURL).searchParams.get("s");
  });

  function follow(field) {
    const text = field.value.trim();
    const first = document.querySelector("#command-results-list a");
    if (!text) return;
    if (first && listed === field.value) {
      location.assign(first.href);
      return;
    }
    // Typed faster than listed, as a scanner does: the server knows what is meant.
    const url = new URL(field.getAttribute("hx-get"), location.href);
    url.searchParams.set("s", text);
    url.searchParams.set("open", "1");
    location.assign(url);
  }

  function listen(event) {
    const field = document.getElementById("search-input-command");
    const isShortcut = event.key?.toLowerCase() === "k" && (event.ctrlKey || event.metaKey);
    if (field && isShortcut && !event.altKey && !event.shiftKey) {
      event.preventDefault();
      event.stopPropagation();
      window.dispatchEvent(new CustomEvent("opencommand"));
      // As soon as it is shown: who types at once loses no letter.
      window.Alpine?.nextTick(() => field.focus());
    } else if (event.key === "Enter" && event.target === field) {
      if (document.querySelector("#command-results-list li.active")) return;
      event.preventDefault();
      event.stopPropagation();
      follow(field);
    }
  }

  document.addEventListener("keydown", listen, true);
})();
