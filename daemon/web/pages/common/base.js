// What all pages use: making elements, calling the server, the login session, the
// panel and short messages.
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
  play: "M8 5v14l11-7z",
  pause: "M6 5h4v14H6zm8 0h4v14h-4z",
  loud: "M3 9v6h4l5 5V4L7 9H3zm13.5 3A4.5 4.5 0 0014 8v8a4.5 4.5 0 002.5-4zM14 3.2v2.1a7 7 0 010 13.4v2.1a9 9 0 000-17.6z",
  silent: "M16.5 12A4.5 4.5 0 0014 8v2.2l2.5 2.4zM19 12c0 .9-.2 1.8-.5 2.6l1.5 1.5A8.8 8.8 0 0021 12a9 9 0 00-7-8.8v2.1A7 7 0 0119 12zM4.3 3L3 4.3 7.7 9H3v6h4l5 5v-6.7l4.2 4.2" +
    "c-.6.5-1.4.9-2.2 1.1v2.1a9 9 0 003.7-1.8L19.7 21 21 19.7zM12 4L9.9 6.1 12 8.2z",
  full: "M7 14H5v5h5v-2H7v-3zm-2-4h2V7h3V5H5v5zm12 7h-3v2h5v-5h-2v3zM14 5v2h3v3h2V5h-5z",
  small: "M19 11h-8v6h8v-6zm4 8V5a2 2 0 00-2-2H3a2 2 0 00-2 2v14a2 2 0 002 2h18a2 2 0 002-2zm-2 0H3V5h18v14z",
  eye: "M12 5C7 5 2.7 8.1 1 12.5 2.7 16.9 7 20 12 20s9.3-3.1 11-7.5C21.3 8.1 17 5 12 5zm0 12.5a5 5 0 110-10 5 5 0 010 10zm0-8a3 3 0 100 6 3 3 0 000-6z",
  flag: "M14.4 6L14 4H5v17h2v-7h5.6l.4 2h7V6z",
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
  page.changed();
}
addEventListener("storage", (e) => { if (e.key === "gtiv" || e.key === null) { session = stored(); page.changed(); } });

// page is what a page does in its own way: login asks somebody to log in, changed is
// told that somebody did, or is logged out.
export const page = { login() {}, changed() {} };
export function needLogin() {
  if (session) return false;
  page.login();
  return true;
}

export async function logout() {
  const rep = await call("GET", "/user/sessions", {}, quiet);
  const own = rep?.List.find((s) => s.Current);
  if (own) await call("POST", "/user/session-revoke", { SessionId: own.SessionId }, quiet);
  setSession(null);
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

// The calls of the API lie beside the folder of this file, wherever that is mounted.
const root = new URL("..", import.meta.url);
export const api = (path) => new URL("." + path, root).href;
export const headers = () => ({ LanguageCode: language, ...(session ? { Authorization: session.token } : {}) });

// call answers the reply, or null after say has told what went wrong: the text and its
// code, 0 for a server that does not answer.
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
    say(t("offline"), 0);
    return null;
  }
  if (rep.ApiCode === 0) return rep;
  if (rep.ApiCode === 1000 && token) loggedOut(token);
  say(rep.ApiMessage, rep.ApiCode);
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

// followButton is for everybody but oneself.
export function followButton(user, follows, changed = () => {}) {
  if (session?.user === user) return null;
  const b = el("button", { type: "button", className: "follow" });
  const draw = () => { b.textContent = t(follows ? "following" : "follow"); b.setAttribute("aria-pressed", String(follows)); };
  b.onclick = async () => {
    if (needLogin() || b.disabled) return;
    b.disabled = true;
    const rep = await call("GET", "/user/follow", { userId: user });
    if (rep) follows = rep.IsFollow;
    b.disabled = false;
    draw();
    if (rep) changed(follows);
  };
  draw();
  return b;
}

// share hands an address on by the means of the device, else copies or shows it.
export async function share(title, url) {
  let told = true;
  if (navigator.share) {
    try { await navigator.share({ title, url }); } catch (e) { if (e.name === "AbortError") return false; told = false; }
  } else {
    told = await copy(url, t("copied"));
  }
  if (!told) showLink(url);
  return true;
}

// copy answers whether it could. Over plain HTTP there is only the old way.
export async function copy(text, told) {
  try { await navigator.clipboard.writeText(text); } catch {
    const at = document.activeElement, box = el("textarea", { className: "offscreen", value: text });
    (document.querySelector("dialog[open]") || document.body).append(box);
    box.select();
    const done = document.execCommand("copy");
    box.remove();
    at?.focus();
    if (!done) return false;
  }
  toast(told);
  return true;
}

export function showLink(url) {
  const input = el("input", { value: url, readOnly: true, "aria-label": t("link"), onfocus: () => input.select() });
  openPanel(t("share"), input);
  input.focus();
}
