// The page of one live room: the player, what it plays, and the chat beside it.
import { t } from "./text.js";
import { api, call, closePanel, el, followButton, icon, needLogin, openPanel, page, panelOpen, quiet, report, session, share, toast } from "../../common/base.js";
import { chatBox } from "./chat.js";
import { possible, ways } from "./engines.js";
import { codec, drawTop, kbps, many, media, period, picture, portrait, roomInfo, short, unknown } from "./place.js";
import { Player } from "./player.js";

const [, token, number] = location.pathname.match(/\/live\/(?:([^/]+)\/)?(\d+)\/$/);
const room = Number(number);
const pollOn = 15000, pollOff = 4000; // ms between looks at the room, on air and off
const hideAfter = 3000; // ms after which the controls go
const heartEvery = 1000, mostHearts = 12; // ms between calls; how many float at once

// What somebody chose stays in the browser.
const kept = (() => { try { return JSON.parse(localStorage.getItem("gtiv-live")) || {}; } catch { return {}; } })();
function keep(change) {
  Object.assign(kept, change);
  try { localStorage.setItem("gtiv-live", JSON.stringify(kept)); } catch { /* private mode */ }
}

let info = null;

// --- The stage: the video and what lies over it.

const video = el("video", { playsInline: true, muted: true, autoplay: true, volume: kept.volume ?? 1, disableRemotePlayback: true });
const iconButton = (name, shape, act) => el("button", { type: "button", title: t(name), "aria-label": t(name), onclick: act }, icon(shape));
const swap = (button, name, shape) => { button.title = t(name); button.setAttribute("aria-label", t(name)); button.replaceChildren(icon(shape)); };
const playButton = iconButton("pause", "pause", () => togglePlay());
const muteButton = iconButton("unmute", "silent", () => mute(!video.muted));
const volume = el("input", { type: "range", className: "volume", min: 0, max: 100, "aria-label": t("volume"), oninput: () => { video.volume = volume.value / 100; mute(video.volume === 0); } });
const edge = el("button", { type: "button", className: "live", title: t("toLive"), onclick: () => player.resume() }, el("b", {}, t("onAir")), el("span"));
const clock = el("span", { className: "clock" });
const wayMenu = el("select", { className: "way", title: t("how"), "aria-label": t("how"), onchange: () => { keep({ way: wayMenu.value }); player.start(media(info.Path), wayMenu.value); } });
const smallButton = iconButton("small", "small", async () => {
  try { await (document.pictureInPictureElement ? document.exitPictureInPicture() : video.requestPictureInPicture()); } catch { /* not now */ }
});
smallButton.hidden = !document.pictureInPictureEnabled;
const fullButton = iconButton("full", "full", () => toggleFull());
const bar = el("div", { className: "bar" }, playButton, muteButton, volume, edge, clock, el("span", { className: "grow" }), wayMenu, smallButton, fullButton);
const sound = el("button", { type: "button", className: "sound", hidden: true, onclick: () => mute(false) }, icon("silent"), t("touchForSound"));
const cover = el("div", { className: "cover" }), veilText = el("p", { role: "status" }), veilActs = el("p", { className: "act" });
const spinner = el("div", { className: "spinner", "aria-hidden": "true" });
const veil = el("div", { className: "veil" }, cover, el("div", { className: "said" }, spinner, veilText, veilActs));
const floats = el("div", { className: "floats", "aria-hidden": "true" });
const stage = el("section", { className: "stage", "aria-label": t("video"), tabIndex: 0 }, video, veil, floats, sound, bar);

// veiled covers the video with a text; "" uncovers it.
function veiled(text, ...acts) {
  veil.hidden = text === "";
  if (veilText.textContent !== text) veilText.textContent = text;
  veilActs.replaceChildren(...acts.filter((a) => a));
  spinner.hidden = acts.length > 0;
  stage.classList.toggle("off", !player.active);
}

function drawCover() {
  const now = info?.State === 1 && player.active ? "" : info?.Cover || "";
  if (cover.dataset.url === now) return;
  cover.dataset.url = now;
  cover.replaceChildren(picture(now, {}) || "");
}

function mute(on) {
  video.muted = on;
  if (!on && video.volume === 0) video.volume = 0.5;
  keep({ heard: !on, volume: video.volume });
  sound.hidden = true;
  if (!on && video.paused) player.resume();
}
video.onvolumechange = () => {
  swap(muteButton, video.muted ? "unmute" : "mute", video.muted ? "silent" : "loud");
  volume.value = video.muted ? 0 : Math.round(100 * video.volume);
};

function togglePlay() {
  if (!player.active) return;
  if (video.paused) player.resume();
  else player.pause();
}
video.onplay = video.onpause = () => swap(playButton, video.paused ? "play" : "pause", video.paused ? "play" : "pause");

function toggleFull() {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (stage.requestFullscreen) stage.requestFullscreen().catch(() => {});
  else video.webkitEnterFullscreen?.(); // iPhones
}

let hiding = 0;
function wake() {
  stage.classList.remove("idle");
  clearTimeout(hiding);
  hiding = setTimeout(() => { if (!video.paused && veil.hidden && !bar.matches(":focus-within, :hover")) stage.classList.add("idle"); }, hideAfter);
}
stage.onpointermove = stage.onpointerdown = stage.onfocus = wake;
video.onclick = veil.onclick = (e) => {
  if (e.target.closest("button, a")) return;
  if (e.pointerType === "mouse") togglePlay();
};
video.ondblclick = toggleFull;

addEventListener("keydown", (e) => {
  const typing = e.target.closest("input, textarea, select, dialog") !== null;
  if (typing || panelOpen() || e.ctrlKey || e.metaKey || e.altKey) return;
  const louder = (by) => { video.volume = Math.min(1, Math.max(0, video.volume + by)); mute(video.volume === 0); };
  const pressed = e.target.closest("button, a, .messages") !== null; // has a use for keys of its own
  const act = { k: togglePlay, m: () => mute(!video.muted), f: toggleFull, ...(pressed ? {} : { " ": togglePlay, ArrowUp: () => louder(0.1), ArrowDown: () => louder(-0.1) }) }[e.key];
  if (!act) return;
  e.preventDefault();
  wake();
  act();
});

// --- Playing.

const figures = el("p", { className: "figures dim", "aria-label": t("quality") });
const player = new Player(video, happened, measured, async () => {
  await refresh();
  return info ? info.State === 1 && info.MayWatch : null;
});

function happened(what, d) {
  drawCover();
  switch (what) {
    case "starting":
      if (veil.hidden && video.readyState < 2 || !veil.hidden) veiled(t("connecting"));
      break;
    case "playing":
      veiled("");
      sound.hidden = !video.muted;
      if (kept.heard && video.muted) hear();
      setTimeout(look, 1500); // it counts as a viewer now
      wake();
      break;
    case "idle":
      if (info?.MayWatch) wait();
      pollLater();
      break;
    case "blocked":
      veiled(t("touchToPlay"), el("button", { type: "button", className: "main", onclick: () => player.resume() }, t("play")));
      break;
    case "lost":
      if (d.way === player.choice && d.way !== "auto" && info?.State === 1) toast(t(`way_${d.way}`) + ": " + (d.status ? d.why : t("notThisWay")));
      break;
    case "failed":
      veiled(t(!player.order.length ? "oldBrowser" : d.status === 503 ? "full503" : "cannotPlay"));
      break;
  }
  drawWays();
}

// hear turns the sound on for who had it on before; browsers may refuse that.
function hear() {
  video.muted = false;
  if (!video.paused) { sound.hidden = true; return; }
  video.muted = true;
  video.play().catch(() => {});
}
video.addEventListener("pause", () => { // Chromium pauses what it does not want to be loud
  if (!video.muted && player.active && !player.pausedAt && !navigator.userActivation?.hasBeenActive) { video.muted = true; sound.hidden = false; video.play().catch(() => {}); }
});

let shownWays = "";
function drawWays() {
  const now = player.choice + player.way + player.playing + info?.Notes?.length;
  if (now === shownWays) return;
  shownWays = now;
  wayMenu.replaceChildren(...["auto", ...ways.filter((w) => possible(w, video))].map((w) =>
    el("option", { value: w, selected: w === player.choice }, w === "auto" && player.way ? t("auto") + " · " + t("way_" + player.way) : t("way_" + w))));
}

function measured(f) {
  const span = edge.querySelector("span"), behind = f.latency || 0;
  const seconds = behind < 0.1 ? "< 0.1" : behind.toFixed(1);
  span.textContent = f.playing && behind > 0 ? seconds + " s" : "";
  edge.setAttribute("aria-label", t("onAir") + (f.playing ? ", " + seconds + " " + t("behind") : ""));
  edge.classList.toggle("late", behind > (f.way === "ts" ? 15 : 5));
  stage.classList.toggle("tall", f.height > f.width);
  if (!f.playing) return;
  figures.replaceChildren(...[
    f.width ? f.width + "×" + f.height : "", f.fps >= 1 ? Math.round(f.fps) + " fps" : "", f.bps ? kbps(f.bps / 1000) : "",
    [codec(f.video), codec(f.audio)].filter(Boolean).join(" + "), f.dropped > 0 ? f.dropped + " " + t("dropped") : "",
    t("way_" + f.way), behind > 0 ? t("behindShort") + " " + seconds + " s" : "",
  ].filter(Boolean).map((text) => el("span", {}, text)));
  drawClock();
}

function drawClock() {
  clock.textContent = info?.State === 1 && info.Began ? period((Date.now() - info.Began) / 1000) : "";
}

// --- Who it is, and the chat.

const head = el("div", { className: "owner" }), title = el("h1"), notes = el("ul", { className: "notes dim" });
const viewers = el("span", { className: "count", role: "img", title: t("viewers") }, icon("eye"), el("span"));
const heartCount = el("span"), heart = el("button", { type: "button", className: "heart", title: t("heart"), "aria-label": t("heart"), onclick: () => giveHeart() }, icon("like"), heartCount);
const shareButton = iconButton("share", "share", async () => { await share(info?.Title || "", location.href); });
const reportButton = iconButton("report", "flag", () => report("live", room));
const moreButton = iconButton("more", "more", () => {
  const item = (name, button) => el("button", { type: "button", className: "wide", onclick: () => { closePanel(); button.click(); } }, t(name));
  openPanel(t("more"), item("share", shareButton), info?.Mine ? null : item("report", reportButton));
});
const about = el("section", { className: "about" },
  el("div", { className: "line" }, head, el("div", { className: "acts" }, viewers, heart, shareButton, reportButton, moreButton)), title, figures, notes);
const chat = chatBox(room, {
  hearts: seenHearts,
  notice(n) {
    if (n.Kind === "live") look();
  },
  online() {},
}, token);

let drawn = "";
function drawAbout() {
  title.textContent = document.title = info.Title;
  viewers.lastChild.textContent = short.format(info.Viewers || 0);
  viewers.setAttribute("aria-label", many(info.Viewers, "viewer", "viewers"));
  if (!(info.Hearts < hearts.total)) hearts.total = info.Hearts || 0;
  drawHearts();
  reportButton.hidden = Boolean(info.Mine);
  notes.replaceChildren(...(info.Mine ? info.Notes || [] : []).map((n) => el("li", {}, n)));
  const now = [info.UserId, info.Nickname, info.IsFollow, info.Avatar, session?.user].join();
  if (now === drawn) return;
  drawn = now;
  head.replaceChildren(portrait(info.Nickname, info.UserId, info.Avatar), el("span", { className: "grow name" }, info.Nickname),
    info.Mine ? el("a", { className: "button", href: api("/live/#/studio") }, t("studio")) : followButton(info.UserId, info.IsFollow, look) || "");
}

// --- Hearts: they float at once and are sent together.

const hearts = { total: 0, waiting: 0, own: 0, timer: 0 };
function drawHearts() { heartCount.textContent = short.format(hearts.total + hearts.waiting + hearts.own); }

function giveHeart() {
  if (needLogin()) return;
  hearts.waiting++;
  float(1);
  drawHearts();
  hearts.timer ||= setTimeout(async () => {
    const n = Math.min(hearts.waiting, 50);
    hearts.timer = hearts.waiting = 0;
    hearts.own += n;
    if (!await call("POST", "/live/heart", { RoomId: room, Count: n, ...(token ? { Token: token } : {}) })) hearts.own -= n;
    drawHearts();
  }, heartEvery);
}

// seenHearts are everybody's, one's own among them.
function seenHearts(n) {
  const others = Math.max(0, n - hearts.own);
  hearts.own = Math.max(0, hearts.own - n);
  hearts.total += n;
  drawHearts();
  float(Math.min(others, mostHearts));
}

function float(n) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (let i = 0; i < n && floats.children.length < 40; i++) {
    const h = el("span", { className: "f" + Math.floor(Math.random() * 5) }, icon("like"));
    h.style.left = 10 + Math.random() * 80 + "%";
    h.style.animationDelay = i * 120 + "ms";
    h.onanimationend = () => h.remove();
    floats.append(h);
  }
}

// --- The room.

async function refresh() {
  let why = "", code = 0;
  const rep = await roomInfo(room, token, (text, c) => { why = text; code = c; });
  if (rep) { info = rep; return ""; }
  if (code === unknown) info = null; // else what is known still holds
  return why;
}

// look asks for the room and does what follows.
let looking = false;
async function look() {
  if (looking) return;
  looking = true;
  const why = await refresh();
  looking = false;
  if (!info) {
    player.stop();
    veiled(why, el("a", { className: "button", href: api("/live/#/now") }, t("others")), session ? null : el("button", { type: "button", onclick: needLogin }, t("login")));
    document.body.classList.add("nothing");
    return;
  }
  document.body.classList.remove("nothing");
  drawAbout();
  chat.about(info);
  if (!info.MayWatch) refuse();
  else if (info.State !== 1) wait();
  else if (!player.active) player.start(media(info.Path), kept.way || "auto");
  drawCover();
  drawWays();
}

// refuse says why one may not watch, and what helps.
function refuse() {
  if (player.active) player.stop();
  figures.replaceChildren();
  const followers = info.Access === "followers";
  veiled(info.Refused || t(followers ? "followersOnly" : "linkOnly"),
    session ? null : el("button", { type: "button", className: "main", onclick: needLogin }, t("login")),
    session && followers && !info.IsFollow ? followButton(info.UserId, info.IsFollow, look) : null,
    el("a", { className: "button", href: api("/live/#/now") }, t("others")));
}

function wait() {
  if (player.active) return; // it finds out by itself, and may see the last seconds
  veiled(t("waiting"));
  figures.replaceChildren();
  clock.textContent = edge.querySelector("span").textContent = "";
}

let timer = 0;
async function poll() {
  if (!document.hidden) await look();
  pollLater();
}
function pollLater() {
  clearTimeout(timer);
  timer = setTimeout(poll, (info?.State === 1 ? pollOn : pollOff) * (0.8 + 0.4 * Math.random()));
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });

page.changed = () => { drawn = ""; drawTop(""); chat.changed(); look(); };

document.getElementById("view").className = "room";
document.getElementById("view").append(el("div", { className: "watch" }, stage, about), chat.box);
drawTop("");
video.onvolumechange();
wake();
veiled(t("connecting"));
poll();
addEventListener("pagehide", () => player.halt());
addEventListener("pageshow", (e) => { if (e.persisted) { player.active = false; look(); } });
