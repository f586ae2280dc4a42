// What all parts of the page use: making elements, calling the server, the login
// session, the bar at the bottom, the panel and short messages.
import { language, t } from "./text.js";

const $ = (id) => document.getElementById(id);

// el makes an element. Texts of people only ever become text, never markup.
export function el(tag, props = {}, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(props)) {
    if (k.includes("-") || k === "role") e.setAttribute(k, v);
    else e[k] = v;
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

const shapes = {
  like: "M12 21l-1.5-1.3C5.4 15.1 2 12 2 8.3 2 5.4 4.3 3 7.2 3c1.9 0 3.6 1 4.8 2.6C13.2 4 14.9 3 16.8 3 19.7 3 22 5.4 22 8.3c0 3.7-3.4 6.8-8.5 11.4z",
  keep: "M12 2.5l2.9 6.2 6.6.8-4.9 4.6 1.3 6.7L12 17.5l-5.9 3.3 1.3-6.7L2.5 9.5l6.6-.8z",
  comments: "M4 4h16a2 2 0 012 2v9a2 2 0 01-2 2H10l-5 4v-4H4a2 2 0 01-2-2V6a2 2 0 012-2z",
  share: "M13 5l9 7-9 7v-4.3C8 14.7 5 16 2 19.5 2.7 13.6 6.5 10 13 9.2z",
  more: "M5 10a2 2 0 100 4 2 2 0 000-4zm7 0a2 2 0 100 4 2 2 0 000-4zm7 0a2 2 0 100 4 2 2 0 000-4z",
};
const svg = "http://www.w3.org/2000/svg";
export function icon(name) {
  const s = document.createElementNS(svg, "svg"), p = document.createElementNS(svg, "path");
  s.setAttribute("viewBox", "0 0 24 24");
  s.setAttribute("aria-hidden", "true");
  p.setAttribute("d", shapes[name]);
  s.append(p);
  return s;
}

// face stands for a picture: pages load nothing from other hosts.
export const face = (name, id) => el("span", { className: "face c" + id % 6, "aria-hidden": "true" }, [...(name || "?")][0].toUpperCase());

// The login session lives in the browser's storage, shared by its tabs.
export let session = null;
const stored = () => { try { return JSON.parse(localStorage.getItem("gtiv") || "null"); } catch { return null; } };
session = stored();
export function setSession(s) {
  session = s;
  try { s ? localStorage.setItem("gtiv", JSON.stringify(s)) : localStorage.removeItem("gtiv"); } catch { /* private mode */ }
  drawNav();
}
addEventListener("storage", (e) => { if (e.key === "gtiv" || e.key === null) { session = stored(); drawNav(); } });

let returnTo = "#/feed"; // after logging in
export const afterLogin = () => { location.hash = returnTo; returnTo = "#/feed"; };
export function needLogin() {
  if (session) return false;
  if (!/^#\/(login|register)/.test(location.hash)) returnTo = location.hash || "#/feed";
  location.hash = "#/login";
  return true;
}

let toastTimer = 0;
export function toast(text) {
  const box = $("toast");
  clearTimeout(toastTimer);
  if (box.matches(":popover-open")) box.hidePopover();
  box.textContent = text;
  box.showPopover(); // above an open panel, too
  toastTimer = setTimeout(() => box.hidePopover(), 3500);
}

// The calls of the API lie beside this page, wherever that is mounted.
export const api = (path) => ".." + path;
export const headers = () => ({ LanguageCode: language, ...(session ? { Authorization: session.token } : {}) });

// call answers the reply, or null after say has told what went wrong.
export async function call(method, path, params = {}, say = toast) {
  const init = { method, headers: headers() };
  let url = api(path);
  if (method === "GET") {
    const q = new URLSearchParams(params).toString();
    if (q) url += "?" + q;
  } else {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(params);
    init.keepalive = true;
  }
  const token = session?.token;
  let rep;
  try {
    rep = await (await fetch(url, init)).json();
  } catch {
    say(t("offline"));
    return null;
  }
  if (rep.ApiCode === 0) return rep;
  if (rep.ApiCode === 1000 && token) loggedOut(token);
  say(rep.ApiMessage);
  return null;
}
export const quiet = () => {};

// loggedOut is for an answer that the token is not valid any more.
export function loggedOut(token) {
  if (session?.token !== token) return;
  setSession(null);
  needLogin();
}

export function when(seconds) {
  const d = new Date(seconds * 1000), year = d.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return d.toLocaleDateString(language, { year, month: "short", day: "numeric" });
}

// The bar at the bottom.
let drawn = 0;
export async function drawNav() {
  const here = location.hash.replace(/^#\//, "").split("/")[0] || "feed";
  const item = (name) => el("a", { href: "#/" + name, ...(here === name ? { "aria-current": "page" } : {}) }, t(name));
  const notices = item("notices");
  const nav = $("nav"), turn = ++drawn;
  nav.setAttribute("aria-label", t("main"));
  nav.replaceChildren(item("feed"), item("search"), item("upload"), ...(session ? [notices, item("mine")] : [item("login")]));
  if (!session) return;
  const rep = await call("GET", "/notice/list", {}, quiet);
  if (rep && rep.Unread > 0 && turn === drawn) {
    notices.append(el("b", { title: t("unread") }, rep.Unread > 99 ? "99+" : String(rep.Unread)));
  }
}

// The panel covers a part of the screen until it is closed.
export function openPanel(title, ...children) {
  const p = $("panel");
  p.replaceChildren(el("div", { className: "row head" }, el("h2", { className: "grow" }, title),
    el("button", { type: "button", className: "plain", onclick: closePanel, "aria-label": t("close") }, "✕")),
    ...children.filter((c) => c !== null));
  p.setAttribute("aria-label", title);
  p.onclick = (e) => { if (e.target === p) closePanel(); };
  if (!p.open) p.showModal();
}
export const closePanel = () => { if ($("panel").open) $("panel").close(); };
export const panelOpen = () => $("panel").open;

// field is a labelled input.
export const field = (label, input) => el("label", {}, t(label), input);

export const choice = (values, chosen) => el("select", {}, ...values.map((v) => el("option", { value: v, selected: v === chosen }, t(v))));

// form is a form that tells beside its button what went wrong. act gets a function
// that shows a text.
export function form(props, act, ...children) {
  const says = el("p", { className: "bad", role: "alert" });
  const f = el("form", props, ...children, says);
  let busy = false;
  f.onsubmit = async (e) => {
    e.preventDefault();
    if (busy) return;
    busy = true;
    says.textContent = "";
    try { await act((text) => { says.textContent = text; }); } finally { busy = false; }
  };
  return f;
}

// pages puts a "more" button below a list as long as there is more. load answers
// whether there is.
export async function pages(box, load) {
  const more = el("button", { type: "button", onclick: () => { more.remove(); pages(box, load); } }, t("more"));
  if (await load()) box.append(more);
}

// report asks what is wrong with something, and tells the moderators.
export function report(kind, id) {
  if (needLogin()) return;
  const why = el("textarea", { maxLength: 500, required: true, rows: 3 });
  openPanel(t("report"), form({}, async (say) => {
    if (await call("POST", "/report", { Kind: kind, Target: String(id), Reason: why.value }, say)) {
      closePanel();
      toast(t("thanks"));
    }
  }, field("why", why), el("button", { className: "main" }, t("send"))));
  why.focus();
}
