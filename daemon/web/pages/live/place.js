// What the pages for live rooms share: asking for a room, pictures of this server, the
// bar at the top, the panel to log in.
import { language, t } from "./text.js";
import { api, call, closePanel, el, face, logout, openPanel, page, session } from "../../common/base.js";
import { loginForm } from "../../common/login.js";

export const unknown = 1404; // the code for what is not there

// roomInfo answers a room, or null after say has told why not.
export async function roomInfo(room, token, say) {
  return call("GET", "/live/info", { RoomId: room, ...(token ? { Token: token } : {}) }, say);
}

// media is the address of a stream, without what tells the ways to watch it apart.
export const media = (path) => api("/live/" + path);

// own answers an address of this server as one of this page's origin: whatever port it
// names, the same is served here. "" is another's.
export function own(url) {
  let at;
  try { at = new URL(url, location.href); } catch { return ""; }
  return at.hostname === location.hostname ? location.origin + at.pathname + at.search : "";
}

// picture answers an image only if it is this server's: others must not learn who
// looks.
export function picture(url, props) {
  const src = url ? own(url) : "";
  if (!src) return null;
  const img = el("img", { src, alt: "", ...props });
  img.onerror = () => img.remove();
  return img;
}

// portrait is somebody's picture, else a letter.
export function portrait(name, id, url) {
  const box = face(name, id), img = picture(url, {});
  if (img) box.append(img);
  return box;
}

export const short = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });

// many writes a number with the word for one or for more.
export const many = (n, one, more) => short.format(n || 0) + " " + t(n === 1 ? one : more);

// period writes seconds as a clock does.
export function period(seconds) {
  const s = Math.max(0, Math.floor(seconds)), two = (n) => String(n).padStart(2, "0");
  return (s >= 3600 ? Math.floor(s / 3600) + ":" + two(Math.floor(s / 60) % 60) : String(Math.floor(s / 60))) + ":" + two(s % 60);
}

export const size = (bytes) => bytes >= 1e9 ? (bytes / 1e9).toFixed(1) + " GB" : bytes >= 1e6 ? (bytes / 1e6).toFixed(1) + " MB" : Math.ceil(bytes / 1e3) + " kB";
export const moment = (ms) => new Date(ms).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
export const kbps = (k) => k >= 1000 ? (k / 1000).toFixed(1) + " Mbit/s" : Math.round(k) + " kbit/s";

// codec names a codec as people do.
export function codec(name) {
  const n = (name || "").toLowerCase();
  for (const [start, shown] of Object.entries({ avc: "H.264", h264: "H.264", hvc: "H.265", hev: "H.265", h265: "H.265", av01: "AV1", av1: "AV1", mp4a: "AAC", aac: "AAC", opus: "Opus" })) {
    if (n.startsWith(start)) return shown;
  }
  return name || "";
}

const protocols = { rtmp: "RTMP", rtmps: "RTMPS", whip: "WHIP", hls: "HLS", "ll-hls": "LL-HLS", flv: "HTTP-FLV", "ws-flv": "WebSocket-FLV", whep: "WebRTC" };
export const protocol = (name) => protocols[name] || name || "";

// onAirMark is what says that something is on air.
export const onAirMark = () => el("b", { className: "mark" }, t("onAir"));

function loginPanel(signUp) {
  const other = el("button", { type: "button", className: "plain dim", onclick: () => loginPanel(!signUp) }, t(signUp ? "haveAccount" : "noAccount"));
  openPanel(t(signUp ? "register" : "login"), loginForm(signUp, {}, [], other, closePanel));
  document.getElementById("name").focus();
}
page.login = () => loginPanel(false);

// drawTop shows the bar at the top; here is the page that one is on.
export function drawTop(here) {
  const top = document.getElementById("top");
  const link = (name, to) => el("a", { href: api(to), ...(name === here ? { "aria-current": "page" } : {}) }, t(name));
  const who = session ? el("button", { type: "button", className: "plain me", "aria-label": session.name, onclick: mePanel }, face(session.name, session.user))
    : el("button", { type: "button", className: "main", id: "login", onclick: () => page.login() }, t("login"));
  top.replaceChildren(el("a", { className: "logo", href: api("/live/#/now"), "aria-label": "gtiv" }, el("img", { src: api("/common/icon.svg"), alt: "" })),
    el("nav", { "aria-label": t("main") }, link("live", "/live/#/now"), link("studio", "/live/#/studio"), link("videos", "/video/")), el("span", { className: "grow" }), who);
}

function mePanel() {
  openPanel(session.name, el("a", { className: "row", href: api("/live/#/studio"), onclick: closePanel }, t("studio")), el("a", { className: "row", href: api("/video/#/mine") }, t("mine")),
    el("p", {}, el("button", { type: "button", onclick: () => { closePanel(); logout(); } }, t("logout"))));
}

document.documentElement.lang = language;
