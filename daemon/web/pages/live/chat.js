// The chat of a live room: its messages, what one may do with each, and writing.
import { language, t } from "./text.js";
import { call, closePanel, el, face, icon, needLogin, openPanel, quiet, report, session } from "../../common/base.js";
import { connect } from "./connection.js";

const most = 250; // messages that are kept on the page
const maxText = 300;
const types = { text: 0, deleted: 6, system: 20, hearts: 22 };
const near = 80; // pixels from the end within which it goes along with what is new

const clientId = () => [...crypto.getRandomValues(new Uint8Array(12))].map((b) => b.toString(16).padStart(2, "0")).join("");

// chatBox makes it for a room. on gets hearts(n), notice(n) and online(n).
export function chatBox(room, on, token = "") {
  const list = el("ol", { className: "messages", tabIndex: 0, role: "log", "aria-label": t("chat"), "aria-live": "polite" });
  const none = el("li", { className: "dim none" }, t("quiet"));
  const state = el("p", { className: "dim state", role: "status", hidden: true }, t("connecting"));
  const newer = el("button", { type: "button", className: "newer", hidden: true, onclick: () => toEnd(true) }, t("newer"));
  const input = el("input", { id: "say", maxLength: maxText, placeholder: t("sayHere"), "aria-label": t("sayHere"), autocomplete: "off", enterKeyHint: "send" });
  const send = el("button", { className: "main" }, t("send"));
  const says = el("p", { className: "bad", role: "alert" });
  const write = el("form", { className: "write" }, input, send);
  const asGuest = el("button", { type: "button", className: "main wide guest", onclick: needLogin }, t("loginToWrite"));
  const box = el("section", { className: "chat", "aria-label": t("chat") }, el("h2", {}, t("chat")), state, el("div", { className: "scroll" }, list, newer), says, write, asGuest);
  let owner = 0, keepsOrder = false, moderators = new Set();
  list.append(none);

  const atEnd = () => list.scrollHeight - list.scrollTop - list.clientHeight < near;
  const toEnd = (now) => { list.scrollTo({ top: list.scrollHeight, behavior: now ? "auto" : "instant" }); newer.hidden = true; };
  list.onscroll = () => { if (atEnd()) newer.hidden = true; };
  new ResizeObserver(() => { if (newer.hidden) toEnd(true); }).observe(list);

  const find = (id) => [...list.children].find((li) => li.message?.ServerMsgId === id);

  const line = (m) => {
    const li = el("li", { tabIndex: -1 });
    li.message = m;
    if (m.MsgType === types.system) {
      li.className = "system";
      li.append(m.Content);
      return li;
    }
    const from = Number(m.FromUser);
    const badge = from === owner ? el("b", { className: "badge host" }, t("host")) : moderators.has(m.FromUser) ? el("b", { className: "badge" }, t("moderator")) : null;
    li.title = new Date(m.Time).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" });
    const menu = el("button", { type: "button", className: "plain dots", tabIndex: -1, "aria-label": t("more"), onclick: () => messageMenu(m) }, icon("more"));
    li.append(face(m.Nickname, from), el("span", { className: "grow" }, el("span", { className: "who h" + from % 6 }, m.Nickname), badge, " ", m.Content), menu);
    li.onclick = (e) => { if (matchMedia("(hover: none)").matches && e.target.closest("button") === null && !getSelection().toString()) messageMenu(m); };
    return li;
  };

  const take = (m) => {
    if (m.MsgType === types.hearts) { on.hearts(Number(m.Content) || 1); return; }
    if (m.MsgType === types.deleted) { find(m.Content)?.remove(); return; }
    if (m.MsgType !== types.text && m.MsgType !== types.system || find(m.ServerMsgId)) return;
    const end = atEnd();
    none.remove();
    // What a new connection brings once more may be older than what is here.
    const before = [...list.children].findLast((li) => !li.message || li.message.Time <= m.Time);
    if (before) before.after(line(m));
    else list.prepend(line(m));
    while (list.children.length > most) list.firstChild.remove();
    if (end || Number(m.FromUser) === session?.user) toEnd(false);
    else newer.hidden = false;
  };

  const act = async (path, params) => { closePanel(); await call("POST", path, { RoomId: room, ...params }); };
  const messageMenu = (m) => {
    const own = Number(m.FromUser) === session?.user, user = Number(m.FromUser);
    const item = (name, f) => el("button", { type: "button", className: "wide", onclick: f }, t(name));
    const mute = (seconds) => () => act("/live/mute", { UserId: user, Seconds: seconds });
    const above = keepsOrder && !own && user !== owner;
    openPanel(m.Nickname, el("p", { className: "quote" }, m.Content),
      own || above ? item("remove", () => act("/live/delete-message", { ServerMsgId: m.ServerMsgId })) : null,
      above ? item("mute10", mute(600)) : null, above ? item("mute60", mute(3600)) : null, above ? item("muteAlways", mute(0)) : null,
      above ? item("letWrite", () => act("/live/unmute", { UserId: user })) : null,
      own ? null : item("report", () => { closePanel(); report("message", m.ServerMsgId); }));
  };

  // Messages are reached by arrow keys, their menu by Enter.
  list.onkeydown = (e) => {
    const at = document.activeElement.closest?.("li");
    if (e.key === "Enter" && at?.message && e.target === at && at.querySelector(".dots")) {
      e.preventDefault(); // or the button that gets the focus would be pressed
      messageMenu(at.message);
      return;
    }
    const to = { ArrowUp: at ? at.previousElementSibling : list.lastElementChild, ArrowDown: at?.nextElementSibling }[e.key];
    if (!to) return;
    e.preventDefault();
    to.focus();
  };

  write.onsubmit = async (e) => {
    e.preventDefault();
    const text = input.value.trim();
    if (!text || send.disabled || needLogin()) return;
    send.disabled = true;
    says.textContent = "";
    const rep = await call("POST", "/live/chat", { RoomId: room, Message: text, ClientMsgId: clientId(), ...(token ? { Token: token } : {}) }, (why) => { says.textContent = why; });
    send.disabled = false;
    if (rep) input.value = "";
    input.focus();
  };
  input.oninput = () => { says.textContent = ""; };

  const connection = connect(room, {
    message: take, notice: on.notice, online: on.online,
    state(now) {
      state.hidden = now === "on";
      state.textContent = t(now === "refused" ? "chatClosed" : "connecting");
    },
  }, token);

  const draw = () => { write.hidden = !session; asGuest.hidden = Boolean(session); };
  draw();
  return {
    box,
    // about tells who is who.
    async about(info) {
      connection.enter(); // everybody is put out when it changes who may watch
      const order = Boolean(info.Mine || info.Moderator);
      if (owner === info.UserId && keepsOrder === order) return;
      owner = info.UserId;
      keepsOrder = order;
      const rep = session && await call("GET", "/live/moderators", { RoomId: room, ...(token ? { Token: token } : {}) }, quiet);
      if (rep) moderators = new Set(rep.List.map((m) => m.UserId));
      for (const li of [...list.children]) if (li.message) li.replaceWith(line(li.message));
    },
    // changed is for somebody who logged in or out.
    changed() { draw(); says.textContent = ""; connection.again(); },
    close: () => connection.close(),
  };
}
