// The page of those who stream: which rooms are on air, one's own room, its stream and
// everything that is set there.
import { t } from "./text.js";
import { api, call, closePanel, el, field, form, needLogin, openPanel, page, quiet, session, share } from "../../common/base.js";
import { chatBox } from "./chat.js";
import { codec, drawTop, kbps, many, media, onAirMark, own, period, picture, portrait, protocol, roomInfo, unknown } from "./place.js";
import { Player } from "./player.js";
import { publishCard } from "./publish.js";
import { recordsCard } from "./records.js";
import { accessCard, keyCard, orderCard, viewersCard } from "./settings.js";

const view = document.getElementById("view");
const every = 3000; // ms between looks at one's own room
const listEvery = 10000;
const mostPages = 10; // of rooms on air, 30 each
const maxTitle = 60;

let leave = () => {}; // ends what the part on screen does

// repeat calls f now and then, while the part is on screen and somebody looks.
function repeat(ms, f) {
  let timer = 0, over = false;
  const round = async () => {
    if (!document.hidden) await f();
    if (!over) timer = setTimeout(round, ms);
  };
  round();
  return () => { over = true; clearTimeout(timer); };
}

// --- Rooms on air.

function nowPage() {
  const grid = el("div", { className: "rooms" }), none = el("p", { className: "dim" }, t("nobodyLive"));
  view.append(el("div", { className: "broad" }, session ? null : el("div", { className: "hello" }, el("div", { className: "grow" }, el("h1", {}, t("hello")), el("p", { className: "dim" }, t("helloMore"))),
    el("button", { type: "button", className: "main", onclick: needLogin }, t("login"))), el("h2", {}, t("nowLive")), grid, none));
  leave = repeat(listEvery, async () => {
    const on = [];
    for (let cursor = 0, n = 0; n < mostPages; n++) {
      const rep = await call("GET", "/live/on-air", { Cursor: cursor }, quiet);
      if (!rep) return;
      on.push(...rep.List);
      if (!(cursor = rep.Next)) break;
    }
    on.sort((a, b) => b.Viewers - a.Viewers);
    none.hidden = on.length > 0;
    grid.replaceChildren(...on.map((r) => el("a", { href: api("/live/" + r.RoomId + "/") },
      el("div", { className: "picture" }, picture(r.Cover, { loading: "lazy" }), onAirMark(), el("span", { className: "many" }, many(r.Viewers, "viewer", "viewers"))),
      el("div", { className: "row" }, portrait(r.Nickname, r.UserId, r.Avatar), el("div", { className: "grow" }, el("b", {}, r.Title), el("div", { className: "dim" }, r.Nickname))))));
  });
}

// --- A room of one's own.

// sendCover uploads a picture, and answers its address.
async function sendCover(file, say) {
  const rep = await call("GET", "/obstore/client_token", {}, say);
  if (!rep) return "";
  const key = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
  const data = new FormData();
  data.append("token", rep.ImObsToken);
  data.append("key", key);
  data.append("file", file);
  const base = rep.RemoteBaseUrl.replace(/\/?$/, "/");
  if (!own(base)) { say(t("coverElsewhere")); return ""; }
  try {
    const done = await fetch(api("/"), { method: "POST", body: data }), text = await done.text();
    if (done.ok) return new URL(base + key, location.href).href;
    try { say(JSON.parse(text).error); } catch { say(t("offline")); }
  } catch { say(t("offline")); }
  return "";
}

// roomForm asks for title and cover.
function roomForm(room, button, act) {
  const title = el("input", { id: "title", maxLength: maxTitle, required: true, value: room?.Title || "", autocomplete: "off" });
  const file = el("input", { type: "file", id: "cover", accept: "image/*" });
  return form({}, async (say) => {
    let cover = room?.Cover || "";
    if (file.files.length && !(cover = await sendCover(file.files[0], say))) return;
    await act(title.value, cover, say);
  }, field("title", title), field("coverFile", file), el("button", { className: "main" }, t(button)));
}

function createPage(closed) {
  view.append(el("div", { className: "narrow card" }, el("h1", {}, t(closed ? "openAgain" : "yourRoom")), el("p", { className: "dim" }, t("yourRoomMore")),
    roomForm(closed, "createRoom", async (title, cover, say) => {
      if (await call("POST", "/live/create", { Title: title, Cover: cover }, say)) show();
    })));
  view.querySelector("#title").focus();
}

async function studioPage() {
  if (!session) {
    view.append(el("div", { className: "narrow card" }, el("h1", {}, t("studio")), el("p", { className: "dim" }, t("helloMore")),
      el("button", { type: "button", className: "main", onclick: needLogin }, t("login"))));
    return;
  }
  let why = "", code = 0;
  const mine = await call("GET", "/live/mine", {}, (text, c) => { why = text; code = c; });
  if (!session) { show(); return; }
  if (mine && !mine.Closed) roomPage(mine);
  else if (mine || code === unknown) createPage(mine);
  else view.append(el("div", { className: "narrow card" }, el("p", { className: "bad", role: "alert" }, why), el("button", { type: "button", onclick: show }, t("retry"))));
}

function roomPage(mine) {
  const room = Number(mine.RoomId), address = api("/live/" + room + "/");
  let info = null, stats = null;

  const state = el("span", { className: "state" }), title = el("h1", { className: "grow" }, mine.Title);
  const counts = el("p", { className: "counts dim" });
  const head = el("section", { className: "card head" }, el("div", { className: "line" }, state, title,
    el("a", { className: "button", href: address, target: "_blank" }, t("openPage")),
    el("button", { type: "button", onclick: () => share(info?.Title || "", address) }, t("share")),
    el("button", { type: "button", onclick: edit }, t("edit"))), counts);

  const video = el("video", { playsInline: true, muted: true, controls: false, disableRemotePlayback: true });
  const veil = el("div", { className: "veil" }, el("div", { className: "said" }, el("p", {}, t("notOnAir"))));
  const stage = el("div", { className: "stage" }, video, veil), table = el("dl", { className: "stats" }), notes = el("ul", { className: "notes bad" });
  const player = new Player(video, (what) => { if (what === "playing" || what === "idle") uncover(what === "playing"); }, () => {},
    async () => { await look(); return info ? info.State === 1 : null; });
  const uncover = (on) => { veil.hidden = on || publish.busy(); };
  const publish = publishCard(room, { stage, veil, key: () => call("GET", "/live/key", {}), changed: () => look() });
  const viewers = viewersCard(room), records = recordsCard(room);
  const chat = chatBox(room, { hearts: (n) => { hearts += n; draw(); }, notice() {}, online() {} });
  let hearts = 0;

  function edit() {
    openPanel(t("edit"), roomForm({ Title: info?.Title || mine.Title, Cover: mine.Cover }, "save", async (name, cover, say) => {
      if (!await call("POST", "/live/edit", { RoomId: room, Title: name, Cover: cover }, say)) return;
      Object.assign(mine, { Title: name, Cover: cover });
      closePanel();
      look();
    }), el("hr"), el("button", { type: "button", className: "danger", onclick: async () => {
      if (!confirm(t("sureClose")) || !await call("POST", "/live/close", { RoomId: room })) return;
      closePanel();
      show();
    } }, t("closeRoom")));
  }

  function draw() {
    const on = info?.State === 1;
    state.replaceChildren(on ? onAirMark() : el("b", { className: "mark off" }, t("offAir")));
    title.textContent = info?.Title || mine.Title;
    counts.replaceChildren(...[
      on && info.Began ? t("since") + " " + period((Date.now() - info.Began) / 1000) : "", many(info?.Viewers, "viewer", "viewers"),
      info ? many(Math.max(info.Hearts, hearts), "heartOne", "hearts") : "",
    ].filter(Boolean).map((text) => el("span", {}, text)));
    const s = stats || {};
    const rows = on ? Object.entries({
      videoCodec: codec(s.Video) + (video.videoWidth ? " " + video.videoWidth + "×" + video.videoHeight : ""),
      audioCodec: codec(s.Audio) || (stats ? "–" : ""), bitrate: s.VideoKbps ? kbps(s.VideoKbps + (s.AudioKbps || 0)) : "",
      frames: s.Fps ? s.Fps + " fps" : "", keyEvery: s.KeyEvery ? (s.KeyEvery / 1000).toFixed(1) + " s" : "",
      bFrames: stats ? t(s.BFrames ? "yes" : "no") : "", by: protocol(s.Protocol),
    }).filter(([, value]) => value.trim()) : [];
    table.replaceChildren(...rows.map(([name, value]) => el("div", {}, el("dt", {}, t(name)), el("dd", {}, value))));
    const advice = [...(s.KeyEvery > 4000 ? [t("keyAdvice")] : []), ...(stats?.Notes || info?.Notes || [])];
    notes.replaceChildren(...(on ? advice : []).map((n) => el("li", {}, n)));
  }

  async function look() {
    const rep = await roomInfo(room, "", () => {});
    if (rep) info = rep;
    if (!info) return;
    stats = info.State === 1 ? await viewers.look() : null;
    if (hearts < info.Hearts) hearts = info.Hearts;
    chat.about({ ...info, Mine: true });
    draw();
    records.look(info);
    if (info.State === 1 && !player.active && !publish.busy()) player.start(media(info.Path), "flv");
    if ((info.State !== 1 || publish.busy()) && player.active) player.stop();
    if (!player.active) uncover(false);
  }

  view.append(el("div", { className: "desk" }, el("div", { className: "cards" }, head,
    el("div", { className: "column" }, el("section", { className: "card preview" }, stage, table, notes), keyCard(), records.box, viewers.box),
    el("div", { className: "column" }, publish.box, accessCard(room, () => info), orderCard(room, mine))), chat.box));
  draw();
  const stop = repeat(every, look);
  leave = () => { stop(); player.stop(); publish.stop(); chat.close(); };
}

// --- Which part is shown.

function show() {
  leave();
  leave = () => {};
  closePanel();
  view.replaceChildren();
  const here = location.hash === "#/now" || !session && location.hash !== "#/studio" ? "live" : "studio";
  view.className = here === "live" ? "now" : "studio";
  document.title = t(here === "live" ? "live" : "studio");
  drawTop(here);
  if (here === "live") nowPage();
  else studioPage();
}

page.changed = show;
addEventListener("hashchange", show);
addEventListener("pagehide", () => leave());
addEventListener("pageshow", (e) => { if (e.persisted) show(); });
show();
