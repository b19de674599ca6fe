/* The Desk: what is scanned and which key is pressed goes to the server, and its answers into place.

   It knows no rules and makes no texts: rows, panels and lists come from the server as finished,
   escaped HTML, and the few sentences that are needed without the server are in data attributes. */
(() => {
  "use strict";

  const REPEAT_MS = 1000; // the same code again this soon is a scanner that sends Enter twice
  const desk = document.getElementById("desk");
  const part = (name) => desk.querySelector(`[data-part="${name}"]`);
  const settings = desk.dataset;
  const field = part("field");
  const rows = part("rows");
  const picks = part("picks");
  const nobody = part("reader").firstElementChild;
  const state = { mode: settings.mode, reader: "", due: "", dropped: "" };
  const queue = new DeskQueue(desk, announce);
  let asked = null; // the open box: { name, offer }
  let lastScan = { text: "", mode: "", at: 0 };
  let lastSeen = Date.now();

  /* Scans, offers and undo. */

  function scan(text, mode) {
    return async () => {
      const answer = await queue.post(settings.scanUrl, { ...state, code: text, mode });
      apply(answer);
      if (answer.isRefused && !field.value) {
        field.value = text;
        field.select(); // kept, and the next scan types over it
      }
    };
  }

  function act(url, fields = {}) {
    return async () => apply(await queue.post(url, { ...state, ...fields }));
  }

  function apply(answer) {
    lastSeen = Date.now();
    if (answer.reader) welcome(answer.reader);
    if (answer.row) addRow(answer.row);
    if (answer.picks) showPicks(answer.picks);
    if (answer.undone) markUndone(answer.undone);
    if (answer.say) announce(answer.say, answer.tone === "bad");
    if (answer.again) queue.addNext(scan(answer.again, state.mode), answer.again);
  }

  /* From our own templates, where every value is escaped. */
  function fragment(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  }

  function addRow(html) {
    withdrawOffers();
    rows.prepend(fragment(html));
    while (rows.children.length > Number(settings.mostRows)) rows.lastElementChild.remove();
  }

  function markUndone(pk) {
    rows.querySelector(`[data-act="${pk}"]`)?.classList.add("desk-row-undone");
  }

  function withdrawOffers() {
    for (const offer of rows.querySelectorAll("[data-offer]:not([data-print])")) offer.remove();
  }

  function accept(offer) {
    if (offer.href) return offer.click();
    if ("print" in offer.dataset) return printSlip(offer.closest("li"));
    const next = { url: offer.dataset.url, fields: JSON.parse(offer.dataset.fields) };
    if (offer.dataset.ask) return openBox(offer.dataset.ask, next);
    withdrawOffers();
    queue.add(act(next.url, next.fields));
  }

  function acceptOffer(number) {
    const newest = rows.firstElementChild;
    const offer = newest?.querySelectorAll("[data-offer]")[number];
    if (offer && !asked) accept(offer);
  }

  function printSlip(row) {
    document.querySelector(".desk-print")?.remove();
    const slip = row.querySelector(".desk-slip").cloneNode(true);
    slip.classList.add("desk-print");
    document.body.append(slip);
    document.body.classList.add("desk-prints");
    window.print();
  }

  let isUndoing = false;

  function undoLast() {
    if (isUndoing) return;
    isUndoing = true;
    queue.add(async () => {
      isUndoing = false;
      const last = rows.querySelector("[data-act]:not(.desk-row-undone)");
      await act(settings.undoUrl, { act: last ? last.dataset.act : "" })();
    });
  }

  /* The reader at the desk. */

  function welcome(reader) {
    if (state.reader && state.reader !== reader.id) {
      withdrawOffers();
      setDate("due", "");
    }
    state.reader = reader.id;
    part("reader").replaceChildren(fragment(reader.panel));
  }

  function letGo() {
    if (!state.reader) return;
    state.reader = "";
    part("reader").replaceChildren(nobody);
    withdrawOffers();
    if (asked?.name === "reason") closeBox();
    setDate("due", "");
    announce(settings.sayLetGo);
  }

  function watchSilence() {
    const countdown = part("countdown");
    if (!countdown) return;
    const silent = (Date.now() - lastSeen) / 1000;
    const left = Math.ceil(Number(settings.letGoSeconds) - silent);
    if (left <= 0 && queue.isEmpty) return letGo();
    countdown.hidden = left > Number(settings.warningSeconds) || left <= 0;
    countdown.textContent = settings.sayCountdown.replace("%s", left);
  }

  /* Short lists: readers by name, books for a new copy. */

  const pickButtons = () => [...picks.querySelectorAll("[data-pick]")];
  const markedPick = () => picks.querySelector("[aria-current]");

  function showPicks(html) {
    picks.replaceChildren(fragment(html));
    picks.hidden = false;
    if (asked) boxInput().select();
  }

  function closePicks() {
    picks.replaceChildren();
    picks.hidden = true;
  }

  function movePick(step) {
    const buttons = pickButtons();
    if (buttons.length === 0) return false;
    const at = buttons.indexOf(markedPick());
    const next = at < 0 && step < 0 ? buttons.length - 1 : (at + step + buttons.length) % buttons.length;
    markedPick()?.removeAttribute("aria-current");
    buttons[next].setAttribute("aria-current", "true");
    announce(buttons[next].textContent);
    return true;
  }

  /* A digit picks; Enter alone picks only what the arrow keys have marked. */
  function pickedBy(text, isEnterAlone) {
    if (/^[1-9]$/.test(text)) return pickButtons()[Number(text) - 1];
    return isEnterAlone ? markedPick() : null;
  }

  function pick(button) {
    const pk = button.dataset.pick;
    const offer = asked?.name === "book" ? asked.offer : null;
    closePicks();
    if (!offer) return queue.add(act(settings.readerUrl, { reader: pk }));
    closeBox();
    withdrawOffers();
    queue.add(act(offer.url, { ...offer.fields, book: pk }), offer.fields.barcode);
  }

  /* Boxes that ask for one thing: a date, a reason, a book. */

  const box = (name) => desk.querySelector(`[data-box="${name}"]`);
  const boxInput = () => box(asked.name).querySelector("input");

  function openBox(name, offer = null) {
    closeBox();
    asked = { name, offer, searched: "" };
    box(name).hidden = false;
    const input = boxInput();
    input.value = state[name] || "";
    if (name === "due") input.min = today();
    if (name === "dropped") input.max = today();
    input.focus();
  }

  function closeBox() {
    if (asked) box(asked.name).hidden = true;
    asked = null;
    closePicks();
    field.focus();
  }

  function submitBox() {
    const { name, offer, searched } = asked;
    const text = boxInput().value.trim();
    if (name === "book") {
      const chosen = pickedBy(text, text === searched);
      if (chosen) return pick(chosen);
      asked.searched = text;
      return queue.add(act(settings.booksUrl, { text }));
    }
    closeBox();
    if (name !== "reason") return setDate(name, text);
    withdrawOffers();
    queue.add(act(offer.url, { ...offer.fields, reason: text }));
  }

  function today() {
    const now = new Date();
    const two = (number) => String(number).padStart(2, "0");
    return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  }

  function setDate(name, value) {
    state[name] = value;
    part(`${name}-shown`).hidden = !value;
    const style = { weekday: "long", day: "numeric", month: "long", year: "numeric" };
    const text = value && new Date(`${value}T12:00`).toLocaleDateString(document.documentElement.lang, style);
    part(`${name}-text`).textContent = text;
    if (text) announce(part(`${name}-text`).parentElement.textContent);
  }

  /* Modes, keys, focus. */

  function setMode(mode) {
    state.mode = desk.dataset.mode = mode;
    for (const button of desk.querySelectorAll("[data-for-mode]")) {
      button.setAttribute("aria-pressed", String(button.dataset.forMode === mode));
    }
  }

  function switchMode() {
    if (asked?.name in state) closeBox();
    setMode(state.mode === "lend" ? "return" : "lend");
    announce(state.mode === "lend" ? settings.sayLend : settings.sayReturn);
  }

  function escape() {
    if (queue.isStuck) return queue.discard();
    if (asked) return closeBox();
    if (!picks.hidden || field.value) {
      field.value = "";
      return closePicks();
    }
    queue.add(async () => letGo());
  }

  const KEYS = {
    F2: switchMode,
    F4: () => openBox(state.mode === "lend" ? "due" : "dropped"),
    F6: () => part("reader").querySelector("[data-account]")?.click(),
    F7: () => part("reader").querySelector("[data-reader-page]")?.click(),
    F8: (event) => (queue.isStuck ? queue.goOn() : acceptOffer(event.shiftKey ? 1 : 0)),
    F9: undoLast,
    Escape: escape,
    ArrowDown: () => movePick(1),
    ArrowUp: () => movePick(-1),
  };

  function submitField() {
    const text = field.value.trim();
    field.value = "";
    const chosen = pickedBy(text, text === "");
    if (chosen) return pick(chosen);
    const scanned = { text, mode: state.mode, at: Date.now() };
    const isRepeat =
      text === lastScan.text && state.mode === lastScan.mode && scanned.at - lastScan.at < REPEAT_MS;
    if (!text) return;
    lastScan = scanned;
    if (isRepeat) return;
    closePicks();
    queue.add(scan(text, state.mode), text);
  }

  function announce(text, isUrgent = false) {
    part(isUrgent ? "alert" : "status").textContent = text;
    part(isUrgent ? "status" : "alert").textContent = "";
  }

  const isTextInput = (element) => element.matches("input, textarea, select, [contenteditable]");

  document.addEventListener("keydown", (event) => {
    lastSeen = Date.now();
    const isForeign = isTextInput(event.target) && !desk.contains(event.target);
    const key = KEYS[event.key];
    const isPlain = !event.ctrlKey && !event.altKey && !event.metaKey;
    if (key && isPlain && !isForeign) {
      if (event.key.startsWith("Arrow") && picks.hidden) return;
      event.preventDefault();
      if (!event.repeat || event.key.startsWith("Arrow")) key(event);
    } else if (isPlain && event.key.length === 1 && event.key !== " " && !isTextInput(event.target)) {
      field.focus(); // whatever has the focus, a scan goes into the field
    }
  });

  desk.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.target === part("form")) submitField();
    else submitBox();
  });

  desk.addEventListener("click", (event) => {
    const button = event.target.closest("button, a");
    if (!button) return;
    const { key, pick: picked, clear } = button.dataset;
    if (button.dataset.forMode === state.mode) field.focus();
    else if (key) KEYS[key](event);
    else if (picked) pick(button);
    else if (clear) setDate(clear, "");
    else if ("retry" in button.dataset) queue.goOn();
    else if ("discard" in button.dataset) queue.discard();
    else if ("cancel" in button.dataset) closeBox();
    else if ("offer" in button.dataset && !button.href) accept(button);
    if (!asked) field.focus();
  });

  document.addEventListener("click", (event) => {
    lastSeen = Date.now();
    const isControl = event.target.closest("a, button, input, select, textarea, label, summary");
    if (!isControl && !asked && getSelection().isCollapsed) field.focus();
  });

  window.addEventListener("focus", () => !asked && field.focus());
  window.addEventListener("online", () => queue.goOn());
  window.addEventListener("afterprint", () => document.body.classList.remove("desk-prints"));
  window.addEventListener("beforeunload", (event) => !queue.isEmpty && event.preventDefault());
  setInterval(watchSilence, 500);
  setMode(state.mode);
  field.focus();
  if (settings.served) {
    history.replaceState(null, "", location.pathname); // reloading brings back nobody who was let go
    queue.add(act(settings.readerUrl, { reader: settings.served }));
  }
})();
