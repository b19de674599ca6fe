/* The pages of money: sums that follow the ticks, the change, a form that is sent once, printing.

   Nothing is decided here: the server computes every sum again. Cents are whole numbers. */
(() => {
  "use strict";

  const cents = (text) => Math.round(Number(text) * 100);
  const written = (sum) => (sum / 100).toFixed(2);

  function cash(form) {
    const amount = form.elements.amount;
    const given = form.elements.given;
    const line = form.querySelector("[data-change]");
    const ticks = [...form.elements].filter((each) => "owed" in each.dataset);

    function showChange() {
      const change = cents(given.value) - cents(amount.value);
      line.hidden = !given.value || !(change >= 0);
      line.querySelector("output").textContent = line.hidden ? "" : written(change);
    }

    function followTicks() {
      const ticked = ticks.filter((each) => each.checked);
      amount.value = written(ticked.reduce((sum, each) => sum + cents(each.dataset.owed), 0));
      showChange();
    }

    for (const tick of ticks) tick.addEventListener("change", followTicks);
    for (const field of [amount, given]) field.addEventListener("input", showChange);
    showChange();
    amount.focus();
    amount.select();
  }

  const form = document.getElementById("till-cash");
  if (form) cash(form);
  document.querySelector(".till-receipt-link")?.focus();

  document.addEventListener("submit", (event) => {
    if (!("once" in event.target.dataset)) return;
    if (event.target.dataset.once === "sent") event.preventDefault();
    event.target.dataset.once = "sent";
  });
  // A page that comes back from the browser's memory may be sent again.
  addEventListener("pageshow", () => {
    for (const sent of document.querySelectorAll("[data-once]")) sent.dataset.once = "";
  });

  for (const button of document.querySelectorAll("[data-print]")) {
    button.addEventListener("click", () => print());
  }
})();
