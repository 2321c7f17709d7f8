// Renews #live every few seconds while somebody looks, completes the word being typed in the search box, and gives each cell
// of a table the words of its column: on a phone a row stands as lines, and nothing of it is cut off.
"use strict";
(() => {
  const main = document.querySelector("main[data-live]");
  const note = document.querySelector(".live-note");
  const busy = region => region.contains(document.activeElement) && document.activeElement !== document.body
    && document.activeElement.matches("input, select, textarea")
    || region.querySelector("input:checked") !== null || String(getSelection() || "") !== "";
  const opened = region => [...region.querySelectorAll("details")].map(each => each.open);

  const stack = region => region.querySelectorAll(".scroll > table:not(.meter)").forEach(table => {
    const heads = [...table.querySelectorAll("thead th, thead td")].map(each => each.textContent.trim().replace(/\?$/, ""));
    if (!heads.length || table.querySelector("[colspan], [rowspan]")) return;
    table.classList.add("stack");
    table.querySelectorAll("tbody tr").forEach(row => [...row.cells].forEach((cell, at) => {
      if (cell.matches("td") && heads[at]) cell.dataset.head = heads[at];
    }));
  });
  stack(document);
  const tab = document.querySelector(".tabs [aria-current]"), tabs = tab?.closest("ul");
  if (tabs) tabs.scrollLeft = tab.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - tab.offsetWidth) / 2;  // the step one is at is seen

  async function renew() {
    const region = document.getElementById("live");
    if (document.visibilityState !== "visible" || !region || busy(region)) return;
    let answer;
    try {
      answer = await fetch(location.href, {headers: {"X-Live": "1"}, credentials: "same-origin"});
    } catch { return; }
    if (answer.status === 401) location.replace(location.pathname + location.search);  // the session has ended: nothing stays on the screen
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
    if (fresh) stack(fresh);
    if (!fresh || busy(region) || fresh.innerHTML === region.innerHTML) return;
    const open = opened(region), focus = document.activeElement, href = region.contains(focus) ? focus.getAttribute("href") : null;
    region.replaceChildren(...fresh.childNodes);
    const details = region.querySelectorAll("details");
    if (details.length === open.length) details.forEach((each, index) => { each.open = open[index]; });
    if (href) region.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus({preventScroll: true});
  }

  if (main) {
    if (note) note.hidden = false;
    setInterval(renew, 1000 * Number(main.dataset.live || 5));
    document.addEventListener("visibilitychange", renew);
  }

  const box = document.getElementById("q"), list = document.getElementById("completions");
  if (box && list) {
    const before = box.defaultValue.trim(), first = before ? before + " " : "";
    const words = [...list.options].map(option => option.value.slice(first.length));
    box.addEventListener("input", () => {
      const typed = box.value.slice(0, box.value.lastIndexOf(" ") + 1);
      list.replaceChildren(...words.map(word => { const option = document.createElement("option"); option.value = typed + word; return option; }));
    });
  }
})();
