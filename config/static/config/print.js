/* Printing by a button; what was chosen and not shown yet is not printed by mistake. */
const buttons = document.querySelectorAll("[data-print]");

for (const button of buttons) button.addEventListener("click", () => print());

document.querySelector("[data-choices]")?.addEventListener("input", () => {
  for (const button of buttons) button.disabled = true;
});
