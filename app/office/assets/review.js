// The reviewer's minute: decisions by keyboard, and the next good loaded before it is wanted.
"use strict";

(() => {
  const desk = document.getElementById("desk");
  const next = document.getElementById("next");
  const said = document.getElementById("review-said");
  const caseNow = () => desk.querySelector("[data-case]");
  const idOf = (article) => article?.dataset.case;

  const post = (url, body) =>
    fetch(url, { method: "POST", body, headers: { "HX-Request": "true" }, credentials: "same-origin", redirect: "manual", keepalive: true });

  // Loads the case after the present one into the hidden place. Its pictures load there, too.
  let loading = null;
  const loadNext = () => {
    const present = caseNow();
    if (!present || present.hasAttribute("data-closed")) return;
    const body = new FormData();
    body.set("csrf", present.querySelector("input[name=csrf]").value);
    body.append("besides", idOf(present));
    for (const id of underWay.keys()) body.append("besides", id);
    loading = post("/admin/review/next/", body)
      .then(async (answer) => {
        next.innerHTML = answer.status === 200 ? await answer.text() : "";
        next.dataset.ready = answer.status === 200 ? "case" : "empty";
      })
      .catch(() => { next.dataset.ready = "failed"; });
  };

  // Decisions that were sent and not answered yet, by the ids of their cases.
  const underWay = new Map();

  const show = async () => {
    performance.mark("review-decided");
    const following = next.firstElementChild;
    if (!following) {
      await Promise.allSettled(underWay.values());
      location.assign("/admin/review/");
      return;
    }
    desk.replaceChildren(following);
    delete next.dataset.ready;
    history.replaceState(null, "", `/admin/review/${idOf(following)}/`);
    following.querySelector("h1").focus();
    scrollTo(0, 0);
    performance.mark("review-shown");
    loadNext();
  };

  const send = async (form) => {
    const id = idOf(caseNow());
    if (underWay.has(id)) return;
    const answered = post(form.action, new FormData(form)).then(
      async (answer) => {
        underWay.delete(id);
        if (answer.status === 204) return;
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const why = page.querySelector("main h1")?.textContent ?? `HTTP ${answer.status}`;
        const more = [...page.querySelectorAll("main section > p")].slice(0, 1).map((each) => each.textContent);
        said.textContent = "";
        const link = document.createElement("a");
        link.href = `/admin/review/${id}/`;
        link.textContent = `#${id}`;
        said.append(link, ` 未能处理:${[why, ...more].join(",")}`);
        said.classList.add("bad");
      },
      () => {
        underWay.delete(id);
        said.textContent = `#${id} 未能送达,请检查网络`;
        said.classList.add("bad");
      },
    );
    underWay.set(id, answered);
    if (next.dataset.ready === undefined) await loading;
    if (next.dataset.ready !== "case") await answered;
    if (said.classList.contains("bad") && next.dataset.ready !== "case") return;
    show();
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!desk.contains(form) || !form.matches("[data-approve], [data-reject], [data-skip]")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (form.matches("[data-reject]") && !form.querySelector(":checked") && !form.elements.note.value.trim()) {
      said.textContent = "请选择至少一个原因,或填写说明";
      said.classList.add("bad");
      return;
    }
    said.textContent = "";
    said.classList.remove("bad");
    send(form);
  }, true);

  const submit = (selector) => desk.querySelector(selector)?.requestSubmit();

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !caseNow() || caseNow().hasAttribute("data-closed")) return;
    const panel = desk.querySelector("[data-reject-panel]");
    const isTyping = event.target.matches("textarea, select, input:not([type=checkbox])");
    let handled = true;
    if (panel.open && event.key === "Escape") {
      panel.open = false;
      caseNow().querySelector("h1").focus();
    } else if (panel.open && event.key === "Enter" && !event.shiftKey && !event.isComposing && !event.target.matches("summary, button, a")) {
      submit("[data-reject]");
    } else if (isTyping) {
      return;
    } else if (panel.open && panel.querySelector(`[data-choice="${CSS.escape(event.key)}"]`)) {
      panel.querySelector(`[data-choice="${CSS.escape(event.key)}"]`).click();
    } else if (!panel.open && event.key === "a") {
      submit("[data-approve]");
    } else if (!panel.open && event.key === "s") {
      submit("[data-skip]");
    } else if (!panel.open && event.key === "x") {
      panel.open = true;
      panel.querySelector("[data-choice]").focus();
    } else if (!panel.open && event.key === "v") {
      desk.querySelector("[data-picture]")?.focus();
    } else {
      handled = false;
    }
    if (!handled) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);

  caseNow()?.querySelector("h1").focus();
  loadNext();
})();
