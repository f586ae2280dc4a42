// What the owner of a room sets: the key, who may watch, who writes what, and who is
// there.
import { t } from "./text.js";
import { call, choice, copy, el, field, form, quiet, toast } from "../../common/base.js";
import { moment, period, protocol, size } from "./place.js";

const card = (name, ...children) => el("section", { className: "card" }, el("h2", {}, t(name)), ...children);
const copyButton = (text) => el("button", { type: "button", onclick: () => copy(text(), t("copiedText")) }, t("copy"));

// shown is a text that is there to be copied. Secret ones are hidden until wanted.
function shown(name, text, secret) {
  const input = el("input", { readOnly: true, value: text, type: secret ? "password" : "text", autocomplete: "off", spellcheck: false, id: name, onfocus: () => input.select() });
  const eye = secret ? el("button", { type: "button", "aria-pressed": "false", onclick: () => {
    const open = input.type === "password";
    input.type = open ? "text" : "password";
    eye.setAttribute("aria-pressed", String(open));
    eye.textContent = t(open ? "hide" : "show");
  } }, t("show")) : null;
  return el("div", { className: "shown" }, el("label", {}, t(name), input), eye, copyButton(() => input.value));
}

// keyCard is how to stream with OBS and ffmpeg.
export function keyCard() {
  const box = el("div"), says = el("p", { className: "bad", role: "alert" });
  const draw = (rep) => {
    const command = "ffmpeg -re -i FILE -c:v libx264 -preset veryfast -tune zerolatency -bf 0 -g 50 -b:v 2500k -pix_fmt yuv420p -c:a aac -b:a 128k -f flv " + rep.Rtmp;
    box.replaceChildren(shown("server", rep.Rtmp, false), ...(rep.Rtmps ? [shown("serverTls", rep.Rtmps, false)] : []), shown("key", rep.Key, true),
      el("p", { className: "act" }, el("button", { type: "button", id: "reset", onclick: async () => {
        if (!confirm(t("sureKey"))) return;
        const fresh = await call("POST", "/live/key", {}, (why) => { says.textContent = why; });
        if (fresh) { draw(fresh); toast(t("newKey")); }
      } }, t("resetKey"))), says,
      el("details", {}, el("summary", {}, t("withObs")), el("ol", {}, ...["obs1", "obs2", "obs3", "obs4"].map((k) => el("li", {}, t(k))))),
      el("details", {}, el("summary", {}, t("withFfmpeg")), el("p", { className: "dim" }, t("ffmpegMore")), el("pre", {}, command + "KEY"),
        el("p", { className: "act" }, el("button", { type: "button", onclick: () => copy(command + rep.Key, t("copiedText")) }, t("copyWithKey")))));
  };
  call("GET", "/live/key", {}, (why) => { says.textContent = why; box.replaceChildren(says); }).then((rep) => { if (rep) draw(rep); });
  return card("withProgram", box);
}

const day = 86400;
const times = { hour: 3600, aDay: day, week: 7 * day, month: 30 * day };

// accessCard is who may watch. info answers what is known of the room.
export function accessCard(room, info) {
  const says = el("p", { className: "bad", role: "alert" }), links = el("div");
  const say = (why) => { says.textContent = why; };
  const list = ["open", "followers", "link"].map((value) => {
    const input = el("input", { type: "radio", name: "access", value });
    input.onchange = async () => {
      say("");
      if (await call("POST", "/live/access", { RoomId: room, Access: value }, say)) { info().Access = value; toast(t("saved")); }
      draw();
    };
    return { value, input, label: el("label", { className: "choice" }, input, el("span", {}, el("b", {}, t("access_" + value)), el("span", { className: "dim" }, t("access_" + value + "_more")))) };
  });
  const valid = choice(Object.keys(times), "aDay");
  const make = el("form", { className: "inline", onsubmit: async (e) => {
    e.preventDefault();
    say("");
    const rep = await call("POST", "/live/link", { RoomId: room, Seconds: times[valid.value] }, say);
    if (rep) links.replaceChildren(shown("link", rep.Link, false), el("p", { className: "dim" }, t("until") + " " + moment(rep.Until)));
  } }, field("validFor", valid), el("button", {}, t("makeLink")), el("button", { type: "button", className: "plain dim", onclick: async () => {
    if (!confirm(t("sureLinks")) || !await call("POST", "/live/access", { RoomId: room, Revoke: true }, say)) return;
    links.replaceChildren();
    toast(t("saved"));
  } }, t("revokeLinks")));
  const box = card("access", el("div", { role: "radiogroup", "aria-label": t("access") }, ...list.map((l) => l.label)), says, el("h3", {}, t("links")), el("p", { className: "dim" }, t("linksMore")), make, links);
  const draw = () => { for (const l of list) l.input.checked = info()?.Access === l.value; };
  // It shows as soon as the server has said what holds.
  box.hidden = true;
  const timer = setInterval(() => {
    if (!info()) return;
    clearInterval(timer);
    box.hidden = false;
    draw();
  }, 200);
  return box;
}

const shownSessions = 100;

// viewersCard lists who publishes and who watches; look answers what the stream is.
export function viewersCard(room) {
  const list = el("div", { className: "sessions" });
  const box = card("watching", list);
  box.hidden = true;
  let there = true, drawn = "";
  return {
    box,
    async look() {
      if (!there) return null;
      let code = 0;
      const rep = await call("GET", "/live/sessions", { RoomId: room }, (_, c) => { code = c; });
      if (!rep) { there = code === 0; box.hidden = true; return null; }
      box.hidden = false;
      const now = JSON.stringify(rep.List.map((s) => [s.Id, Math.floor(s.Bytes / 1e5)]));
      if (now === drawn || list.contains(document.activeElement)) return rep;
      drawn = now;
      list.replaceChildren(...rep.List.slice(0, shownSessions).map((s) => el("div", { className: "row" },
        el("span", { className: "grow" }, el("b", {}, s.Nickname || s.User || s.Address || t("guest")), " ", s.Publish ? el("b", { className: "badge host" }, t("publisher")) : null,
          el("div", { className: "dim" }, [protocol(s.Protocol), period((Date.now() - s.Began) / 1000), s.Bytes ? size(s.Bytes) : "", s.Note].filter(Boolean).join(" · "))),
        el("button", { type: "button", onclick: async () => {
          if (await call("POST", "/live/kick", { RoomId: room, Id: s.Id })) toast(t("kicked"));
        } }, t("kick")))));
      if (!rep.List.length) list.replaceChildren(el("p", { className: "dim" }, t("empty")));
      return rep;
    },
  };
}

// orderCard is what keeps order in the chat.
export function orderCard(room, mine) {
  const slow = el("select", { id: "slow" }, ...[0, 5, 10, 30, 60, 300].map((n) => el("option", { value: n, selected: n === (mine.Slow || 0) }, n ? n + " s" : t("off"))));
  if (mine.Slow && ![5, 10, 30, 60, 300].includes(mine.Slow)) slow.append(el("option", { value: mine.Slow, selected: true }, mine.Slow + " s"));
  slow.onchange = async () => { if (await call("POST", "/live/slow", { RoomId: room, Seconds: Number(slow.value) })) toast(t("saved")); };
  const words = el("textarea", { id: "words", rows: 3, maxLength: 10000 });
  call("GET", "/live/words", { RoomId: room }, quiet).then((rep) => { if (rep) words.value = rep.List.join("\n"); });
  const save = form({}, async (say) => {
    if (await call("POST", "/live/words", { RoomId: room, Words: words.value }, say)) toast(t("saved"));
  }, field("words", words), el("button", {}, t("save")));

  const people = el("div"), name = el("input", { id: "moderator", required: true, maxLength: 64, autocomplete: "off", autocapitalize: "none" });
  let all = [];
  const set = async (list, say) => {
    if (!await call("POST", "/live/moderators", { RoomId: room, UserIds: list.map((m) => m.UserId).join(",") }, say)) return false;
    all = list;
    draw();
    return true;
  };
  const draw = () => people.replaceChildren(...all.map((m) => el("div", { className: "row" }, el("span", { className: "grow" }, m.Nickname),
    el("button", { type: "button", onclick: () => set(all.filter((o) => o !== m), toast) }, t("remove")))));
  call("GET", "/live/moderators", { RoomId: room }, quiet).then((rep) => { if (rep) { all = rep.List; draw(); } });
  const add = form({ className: "inline" }, async (say) => {
    const found = await call("POST", "/user/search", { Username: name.value.trim() }, say);
    if (!found || all.some((m) => m.UserId === found.UserId)) return;
    if (await set([...all, { UserId: found.UserId, Nickname: found.Nickname }], say)) name.value = "";
  }, field("addModerator", name), el("button", {}, t("add")));
  return card("order", field("slow", slow), save, el("h3", {}, t("moderators")), people, add, el("p", { className: "dim" }, t("orderMore")));
}
