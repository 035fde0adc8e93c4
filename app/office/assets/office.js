// Keyboard use of the back office. Without this file every page works by links and forms.
"use strict";

(() => {
  const isTyping = (element) => element.matches("input:not([type=checkbox]), textarea, select, [contenteditable]");

  // Rows: the link that a row is about, or an article with a form.
  const rows = () => [...document.querySelectorAll("[data-rows] tbody tr, [data-row]")];
  const focusRow = (step) => {
    const all = rows();
    if (!all.length) return;
    const at = all.findIndex((row) => row.contains(document.activeElement));
    const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
    const target = next.matches("[data-row]") ? next : next.querySelector("a, input");
    (target ?? next).focus();
    next.scrollIntoView({ block: "nearest" });
  };

  const follow = (selector) => document.querySelector(selector)?.click();
  const toggleKeys = () => {
    const dialog = document.getElementById("keys");
    if (dialog.open) dialog.close();
    else dialog.showModal();
  };

  let going = 0;
  const KEYS = {
    "?": toggleKeys,
    "/": () => document.querySelector(".filters input, .filters select")?.focus(),
    j: () => focusRow(1),
    k: () => focusRow(-1),
    n: () => follow(".pager a[rel=next]"),
    p: () => follow(".pager a[rel=prev]"),
    g: () => { going = Date.now(); },
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.key === "Escape" && isTyping(event.target)) {
      event.target.blur();
      return;
    }
    if (isTyping(event.target)) return;
    if (going && Date.now() - going < 1500) {
      going = 0;
      const link = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
      if (link) {
        event.preventDefault();
        location.assign(link.href);
        return;
      }
    }
    const action = KEYS[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  // What htmx asked for was refused, or did not arrive: it is said where the answer would have stood.
  const complain = (event, words) => {
    const box = document.createElement("div");
    box.className = "said bad";
    box.setAttribute("role", "alert");
    box.textContent = words;
    event.detail.target.replaceChildren(box);
  };
  document.addEventListener("htmx:responseError", (event) => {
    const page = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
    const said = [...page.querySelectorAll("main section h1, main section > p:not(:last-child)")].map((each) => each.textContent);
    complain(event, said.join(";") || `HTTP ${event.detail.xhr.status}`);
  });
  document.addEventListener("htmx:sendError", (event) => complain(event, "未能送达,请检查网络"));

  // A form is sent once: a second click, or Enter held down, must not send it again.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("hx-post")) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
    addEventListener("pageshow", () => { delete form.dataset.sent; }, { once: true });
    // A download leaves the page where it is.
    if (form.action.endsWith("/export/")) setTimeout(() => { delete form.dataset.sent; }, 1000);
  });
})();
