"use strict";
// One page: the feed, uploading, one's own videos, comments, notices, search.
// Texts of people are only ever put in as text, never as markup.

const $ = (id) => document.getElementById(id);
const el = (tag, props = {}, ...children) => {
  const e = Object.assign(document.createElement(tag), props);
  for (const [k, v] of Object.entries(props)) if (k.startsWith("aria-") || k === "role") e.setAttribute(k, v);
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
};

let session = null;
try { session = JSON.parse(localStorage.getItem("gtiv") || "null"); } catch { session = null; }
const setSession = (s) => {
  session = s;
  try { s ? localStorage.setItem("gtiv", JSON.stringify(s)) : localStorage.removeItem("gtiv"); } catch { /* private mode */ }
  drawNav();
};

let toastTimer = 0;
const toast = (text) => {
  $("toast").textContent = text;
  $("toast").classList.add("on");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => $("toast").classList.remove("on"), 2500);
};

// call answers the reply, or null after it has told what went wrong.
async function call(method, path, params = {}, quiet = false) {
  const headers = { LanguageCode: language };
  if (session) headers.Authorization = session.token;
  let url = path, body;
  if (method === "GET") {
    const q = new URLSearchParams(params).toString();
    if (q) url += "?" + q;
  } else {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(params);
  }
  let rep;
  try {
    rep = await (await fetch(url, { method, headers, body })).json();
  } catch {
    if (!quiet) toast(t("offline"));
    return null;
  }
  if (rep.ApiCode === 1000 && session) { setSession(null); location.hash = "#/login"; return null; }
  if (rep.ApiCode !== 0) { if (!quiet) toast(rep.ApiMessage); return null; }
  return rep;
}

const needLogin = () => { if (session) return false; location.hash = "#/login"; return true; };
const when = (s) => new Date(s * 1000).toLocaleDateString(language, { month: "short", day: "numeric" });

// Playing. At most three players exist: the clip on screen and its neighbours.
function attach(video, uri) {
  if (video.canPlayType("application/vnd.apple.mpegurl")) { video.src = uri; return; }
  if (!window.Hls || !Hls.isSupported()) { toast(t("cannotPlay")); return; }
  const hls = new Hls({ maxBufferLength: 15, maxMaxBufferLength: 30, enableWorker: false });
  hls.on(Hls.Events.ERROR, (_, d) => { if (d.fatal) hls.destroy(); });
  hls.loadSource(uri);
  hls.attachMedia(video);
  video.hls = hls;
}
function detach(video) {
  if (video.hls) { video.hls.destroy(); video.hls = null; }
  video.removeAttribute("src");
  video.load();
}

let muted = true;
let stopView = () => {};

function clipView(v, endpoint) {
  const uri = endpoint + v.Uri, cover = endpoint + v.Cover;
  const video = el("video", { loop: true, playsInline: true, muted, preload: "none", poster: cover });
  const bar = el("div", { className: "bar" });
  const side = el("div", { className: "side" });
  const sound = el("button", { className: "sound", onclick: () => {
    muted = !muted;
    document.querySelectorAll("video").forEach((o) => { o.muted = muted; });
    document.querySelectorAll(".sound").forEach((o) => { o.textContent = t(muted ? "sound" : "mute"); });
  } }, t(muted ? "sound" : "mute"));
  const box = el("section", { className: "clip" }, video,
    el("div", { className: "about" }, el("a", { href: "#/u/" + v.UserId }, "@" + v.Nickname), el("p", {}, v.Title)), side, sound, bar);
  box.clip = v;
  box.watched = 0;
  video.onclick = () => { video.paused ? video.play() : video.pause(); };
  video.ontimeupdate = () => { if (video.duration) bar.style.width = (100 * video.currentTime / video.duration) + "%"; };

  const counted = (name, on, n, act) => {
    const b = el("button", { "aria-pressed": String(on) });
    const draw = () => { b.textContent = t(name) + "\n" + n; b.style.whiteSpace = "pre"; b.setAttribute("aria-pressed", String(on)); };
    b.onclick = async () => {
      if (needLogin()) return;
      b.disabled = true;
      if (await act(!on)) { on = !on; n += on ? 1 : -1; }
      b.disabled = false;
      draw();
    };
    draw();
    return b;
  };
  const comments = el("button", { onclick: () => commentPanel(v, comments) });
  comments.style.whiteSpace = "pre";
  comments.textContent = t("comments") + "\n" + (v.CommentNum || 0);
  side.append(
    counted("like", v.IsSupport, v.SupportNum, (on) => call("POST", "/video/support", { videoId: v.Id, action: on ? 1 : 0 })),
    counted("keep", v.IsCollect, v.CollectNum, (on) => call("POST", "/video/collect", { videoId: v.Id, action: on ? 1 : 0 })),
    comments,
    el("button", { onclick: () => share(v) }, t("share")));
  if (session && v.UserId !== session.user) {
    const f = el("button", { onclick: async () => {
      const rep = await call("GET", "/user/follow", { userId: v.UserId });
      if (rep) { v.IsFollow = rep.IsFollow; f.textContent = t(v.IsFollow ? "following" : "follow"); }
    } }, t(v.IsFollow ? "following" : "follow"));
    side.append(f, el("button", { onclick: async () => {
      if (await call("POST", "/video/not-interested", { VideoId: v.Id })) box.nextElementSibling?.scrollIntoView({ behavior: "smooth" });
    } }, t("less")));
  }
  box.start = () => {
    if (!video.hls && !video.src) attach(video, uri);
    video.muted = muted;
    box.since = Date.now();
    video.play().catch(() => {});
  };
  box.warm = () => { if (!video.hls && !video.src) attach(video, uri); };
  box.stop = () => {
    video.pause();
    if (box.since) {
      const ms = Date.now() - box.since;
      box.since = 0;
      if (ms > 300) call("POST", "/video/played", { VideoId: v.Id, WatchMs: ms }, true);
    }
  };
  box.drop = () => { box.stop(); detach(video); };
  return box;
}

async function share(v) {
  const link = location.origin + location.pathname + "#/v/" + v.Id;
  try {
    if (navigator.share) await navigator.share({ title: v.Title, url: link });
    else { await navigator.clipboard.writeText(link); toast(t("copied")); }
  } catch { toast(link); }
  if (session) call("POST", "/video/incr-share-count", { videoId: v.Id }, true);
}

// player shows clips below each other and asks for more when few are left.
function player(first, endpoint, more) {
  const feed = el("div", { className: "feed" });
  let current = null, loading = false, ended = !more;
  const add = (list, ep) => list.forEach((v) => {
    const c = clipView(v, ep);
    feed.append(c);
    watcher.observe(c);
  });
  const load = async () => {
    if (loading || ended) return;
    loading = true;
    const rep = await more();
    loading = false;
    if (!rep || rep.List.length === 0) { ended = true; return; }
    add(rep.List, rep.Endpoint);
  };
  const watcher = new IntersectionObserver((entries) => {
    for (const e of entries) {
      if (!e.isIntersecting || e.target === current) continue;
      if (current) current.stop();
      current = e.target;
      current.start();
      const all = [...feed.children], i = all.indexOf(current);
      all.forEach((c, k) => { if (Math.abs(k - i) > 1) c.drop(); });
      all[i + 1]?.warm();
      if (all.length - i < 4) load();
    }
  }, { root: feed, threshold: 0.6 });
  add(first, endpoint);
  feed.tabIndex = 0;
  feed.onkeydown = (e) => {
    const to = e.key === "ArrowDown" ? current?.nextElementSibling : e.key === "ArrowUp" ? current?.previousElementSibling : null;
    if (to) { e.preventDefault(); to.scrollIntoView({ behavior: "smooth" }); }
  };
  stopView = () => { watcher.disconnect(); [...feed.children].forEach((c) => c.drop()); };
  return feed;
}

async function feedPage(view) {
  const rep = await call("GET", "/video/home");
  if (!rep) return;
  view.append(player(rep.List, rep.Endpoint, () => call("GET", "/video/home")));
  view.firstChild.focus();
}

async function videoPage(view, id) {
  const v = await call("GET", "/video/info", { videoId: id });
  if (!v) return;
  const who = await call("GET", "/user/video-master-info", { userId: v.MasterUid });
  view.append(player([{
    Id: Number(id), UserId: v.MasterUid, Title: v.Title, Uri: v.VideoUri, Cover: v.VideoCover, Nickname: who ? who.Nickname : "", IsFollow: v.IsFollow,
    SupportNum: v.SupportNum, CollectNum: v.CollectNum, CommentNum: v.CommentNum, IsSupport: v.IsSupport, IsCollect: v.IsCollect,
  }], "", null));
}

// Comments.
function commentPanel(v, button) {
  const list = el("div", { className: "list" });
  let replyTo = 0, next = 0;
  const input = el("input", { maxLength: 500, placeholder: t("say"), required: true });
  const line = (c, reply) => {
    const box = el("div", { className: "comment" + (reply ? " reply" : "") },
      el("div", { className: "dim" }, "@" + c.Nickname + (c.ReplyTo ? " → @" + c.ReplyTo : "") + " · " + when(c.CreateTime)),
      el("div", {}, c.Gone ? t("gone") : c.Content));
    const tools = el("div", { className: "tools" });
    if (!c.Gone) {
      const like = el("button", { "aria-pressed": String(c.IsSupport), onclick: async () => {
        if (needLogin()) return;
        if (await call("POST", "/video/comment-like", { CommentId: c.CommentId, Action: c.IsSupport ? 0 : 1 })) {
          c.IsSupport = !c.IsSupport;
          c.SupportNum += c.IsSupport ? 1 : -1;
          like.textContent = t("like") + " " + c.SupportNum;
          like.setAttribute("aria-pressed", String(c.IsSupport));
        }
      } }, t("like") + " " + c.SupportNum);
      tools.append(like, el("button", { onclick: () => { replyTo = c.CommentId; input.placeholder = "@" + c.Nickname; input.focus(); } }, t("reply")));
      if (session && (c.UserId === session.user || v.UserId === session.user)) {
        tools.append(el("button", { onclick: async () => {
          if (confirm(t("sure")) && await call("POST", "/video/comment-delete", { CommentId: c.CommentId })) box.remove();
        } }, t("remove")));
      }
    }
    if (c.ReplyNum > 0) {
      const more = el("button", { onclick: async () => {
        more.remove();
        const rep = await call("GET", "/video/comments", { VideoId: v.Id, CommentId: c.CommentId });
        if (rep) box.after(...rep.List.map((r) => line(r, true)));
      } }, c.ReplyNum + " " + t("replies"));
      tools.append(more);
    }
    box.append(tools);
    return box;
  };
  const load = async () => {
    const rep = await call("GET", "/video/comments", { VideoId: v.Id, Cursor: next });
    if (!rep) return;
    next = rep.Next;
    list.append(...rep.List.map((c) => line(c, false)));
    if (!list.children.length) list.append(el("p", { className: "dim" }, t("empty")));
    if (next) { const b = el("button", { onclick: () => { b.remove(); load(); } }, t("more")); list.append(b); }
  };
  const form = el("form", { onsubmit: async (e) => {
    e.preventDefault();
    if (needLogin()) { $("panel").close(); return; }
    const rep = await call("POST", "/video/comment", { VideoId: v.Id, Content: input.value, ReplyTo: replyTo });
    if (!rep) return;
    input.value = "";
    input.placeholder = t("say");
    replyTo = 0;
    next = 0;
    list.replaceChildren();
    load();
    v.CommentNum = (v.CommentNum || 0) + 1;
    button.textContent = t("comments") + "\n" + v.CommentNum;
  } }, input, el("button", { className: "main" }, t("send")));
  openPanel(el("h1", {}, t("comments")), list, form);
  load();
}

function openPanel(...children) {
  const p = $("panel");
  p.replaceChildren(...children);
  p.onclick = (e) => { if (e.target === p) p.close(); };
  p.showModal();
}

// Logging in and signing up.
function loginPage(view, signUp) {
  const name = el("input", { id: "name", autocomplete: "username", required: true, maxLength: 32 });
  const password = el("input", { id: "password", type: "password", autocomplete: signUp ? "new-password" : "current-password", required: true });
  const invite = el("input", { id: "invite", autocomplete: "off" });
  view.append(el("form", { className: "page", onsubmit: async (e) => {
    e.preventDefault();
    const rep = await call("POST", signUp ? "/user/register-by-username" : "/user/login",
      { username: name.value, password: password.value, InviteCode: invite.value });
    if (!rep) return;
    setSession({ token: rep.Userinfo.Token, user: rep.Userinfo.UserId, name: rep.Userinfo.Nickname });
    location.hash = "#/feed";
  } }, el("h1", {}, t(signUp ? "register" : "login")), el("label", {}, t("username"), name), el("label", {}, t("password"), password),
  signUp ? el("label", {}, t("invite"), invite) : null,
  el("button", { className: "main" }, t(signUp ? "register" : "login")), " ",
  el("a", { href: signUp ? "#/login" : "#/register", className: "dim" }, t(signUp ? "haveAccount" : "noAccount"))));
}

// Uploading: the file goes out in one request, with its progress.
function uploadPage(view) {
  if (needLogin()) return;
  const file = el("input", { id: "file", type: "file", accept: "video/*", required: true });
  const title = el("input", { id: "title", maxLength: 200 });
  const who = el("select", { id: "visibility" }, ...["public", "followers", "private"].map((v) => el("option", { value: v }, t(v))));
  const bar = el("progress", { max: 100, value: 0, hidden: true });
  const state = el("p", { className: "dim", role: "status" });
  const go = el("button", { className: "main" }, t("upload"));
  let gone = false;
  stopView = () => { gone = true; };
  const follow = async (id) => {
    while (!gone) {
      const rep = await call("GET", "/video/status", { videoId: id }, true);
      if (rep) {
        bar.value = rep.Percent;
        state.textContent = t(rep.State) + (rep.Reason ? ": " + rep.Reason : "");
        state.className = rep.State === "failed" ? "bad" : "dim";
        if (rep.State === "ready") { toast(t("done")); location.hash = "#/v/" + id; return; }
        if (rep.State === "failed" || rep.State === "review" || rep.State === "hidden") { go.disabled = false; return; }
      }
      await new Promise((r) => setTimeout(r, 700));
    }
  };
  view.append(el("form", { className: "page", onsubmit: (e) => {
    e.preventDefault();
    if (!file.files.length) { toast(t("choose")); return; }
    const data = new FormData();
    data.append("title", title.value);
    data.append("visibility", who.value);
    data.append("file", file.files[0]);
    const x = new XMLHttpRequest();
    x.open("POST", "/video-upload");
    x.setRequestHeader("Authorization", session.token);
    x.setRequestHeader("LanguageCode", language);
    x.upload.onprogress = (p) => { if (p.lengthComputable) { bar.value = 100 * p.loaded / p.total; state.textContent = t("sending") + " " + Math.floor(bar.value) + " %"; } };
    x.onerror = () => { go.disabled = false; state.textContent = t("offline"); };
    x.onload = () => {
      let rep = {};
      try { rep = JSON.parse(x.responseText); } catch { rep = { ApiCode: 1, ApiMessage: t("offline") }; }
      if (rep.ApiCode !== 0) { go.disabled = false; state.textContent = rep.ApiMessage; state.className = "bad"; return; }
      bar.value = 0;
      follow(rep.VideoId);
    };
    bar.hidden = false;
    go.disabled = true;
    x.send(data);
  } }, el("h1", {}, t("upload")), el("label", {}, t("file"), file), el("label", {}, t("title"), title), el("label", {}, t("who"), who), go, bar, state));
}

// One's own videos, in whatever state.
async function minePage(view) {
  if (needLogin()) return;
  const page = el("div", { className: "page" });
  page.append(el("div", { className: "row" }, el("h1", { className: "grow" }, session.name),
    el("a", { href: "#/u/" + session.user, className: "dim" }, t("profile")),
    el("button", { onclick: () => { setSession(null); location.hash = "#/feed"; } }, t("logout"))));
  view.append(page);
  let cursor = 0;
  const load = async () => {
    const rep = await call("GET", "/video/mine", { Cursor: cursor });
    if (!rep) return;
    cursor = rep.Next;
    for (const v of rep.List) page.append(mineRow(v, rep.Endpoint));
    if (page.children.length === 1) page.append(el("p", { className: "dim" }, t("empty")));
    if (cursor) { const b = el("button", { onclick: () => { b.remove(); load(); } }, t("more")); page.append(b); }
  };
  load();
}

function mineRow(v, endpoint) {
  const ready = v.State === "ready";
  const name = el("div", {}, v.Title || "—");
  const row = el("div", { className: "row" },
    ready ? el("a", { href: "#/v/" + v.VideoId }, el("img", { src: endpoint + v.Cover, alt: "", loading: "lazy" })) : el("img", { alt: "" }),
    el("div", { className: "grow" }, name, el("div", { className: v.State === "failed" ? "bad" : "dim" },
      t(v.State) + (v.Reason ? ": " + v.Reason : "") + (ready ? " · " + t(v.Visibility) + " · " + v.SupportNum + " " + t("likes") : ""))),
    el("button", { onclick: async () => {
      const title = prompt(t("title"), v.Title);
      if (title && await call("POST", "/video/edit", { VideoId: v.VideoId, Title: title })) { v.Title = title; name.textContent = title; }
    } }, t("edit")),
    el("button", { onclick: async () => {
      if (confirm(t("sure")) && await call("POST", "/video/delete", { VideoId: v.VideoId })) row.remove();
    } }, t("remove")));
  return row;
}

async function userPage(view, id) {
  const who = await call("GET", "/user/video-master-info", { userId: id });
  if (!who) return;
  const grid = el("div", { className: "grid" });
  const page = el("div", { className: "page" }, el("h1", {}, who.Nickname),
    el("p", { className: "dim" }, "@" + who.Username + " · " + who.FansNum + " " + t("fans") + " · " + who.SupportNum + " " + t("likes")),
    who.Intro ? el("p", {}, who.Intro) : null, grid);
  view.append(page);
  let n = 0;
  const load = async () => {
    const rep = await call("GET", "/user/creation-videos", { userId: id, page: ++n });
    if (!rep) return;
    grid.append(...rep.List.map((v) => tile(v.VideoId, rep.Endpoint + v.Cover, v.Title)));
    if (n === 1 && !rep.List.length) page.append(el("p", { className: "dim" }, t("empty")));
    if (rep.List.length === 12) { const b = el("button", { onclick: () => { b.remove(); load(); } }, t("more")); page.append(b); }
  };
  load();
}

function tile(id, cover, title) {
  const a = el("a", { href: "#/v/" + id }, el("span", {}, title));
  a.style.backgroundImage = "url(" + JSON.stringify(cover) + ")";
  return a;
}

async function noticesPage(view) {
  if (needLogin()) return;
  const page = el("div", { className: "page" }, el("h1", {}, t("notices")));
  view.append(page);
  let cursor = 0;
  const load = async () => {
    const rep = await call("GET", "/notice/list", { Cursor: cursor });
    if (!rep) return;
    cursor = rep.Next;
    for (const n of rep.List) {
      page.append(el("a", { className: "row", href: n.VideoId ? "#/v/" + n.VideoId : "#/u/" + n.UserId, style: "color:inherit;text-decoration:none" },
        n.Cover ? el("img", { src: rep.Endpoint + n.Cover, alt: "", loading: "lazy" }) : null,
        el("div", { className: "grow" }, el("div", {}, n.Text), n.Content ? el("div", { className: "dim" }, n.Content) : null),
        el("span", { className: "dim" }, when(n.CreateTime))));
    }
    if (page.children.length === 1) page.append(el("p", { className: "dim" }, t("empty")));
    if (cursor) { const b = el("button", { onclick: () => { b.remove(); load(); } }, t("more")); page.append(b); }
  };
  await load();
  await call("POST", "/notice/read", {}, true);
  drawNav();
}

async function searchPage(view, tag) {
  const input = el("input", { type: "search", maxLength: 64, placeholder: t("search"), "aria-label": t("search") });
  const kind = el("select", {}, ...["videos", "users", "tags"].map((k) => el("option", { value: k }, t(k))));
  const out = el("div");
  const videos = (rep, list) => el("div", { className: "grid" }, ...list.map((v) => tile(v.Id, rep.Endpoint + v.Cover, v.Title)));
  const tags = (list) => list.map((x) => el("a", { className: "row", href: "#/tag/" + encodeURIComponent(x.Tag), style: "color:inherit;text-decoration:none" }, "#" + x.Tag, el("span", { className: "dim" }, String(x.VideoNum))));
  view.append(el("div", { className: "page" }, el("form", { onsubmit: async (e) => {
    e.preventDefault();
    if (needLogin()) return;
    const rep = await call("GET", "/search", { Q: input.value, Kind: kind.value });
    if (!rep) return;
    out.replaceChildren(...(rep.Videos.length ? [videos(rep, rep.Videos)] : []), ...tags(rep.Tags),
      ...rep.Users.map((u) => el("a", { className: "row", href: "#/u/" + u.UserId, style: "color:inherit;text-decoration:none" }, u.Nickname, el("span", { className: "dim" }, "@" + u.Username))));
    if (!out.children.length) out.append(el("p", { className: "dim" }, t("nobody")));
  } }, input, kind, el("button", { className: "main" }, t("search"))), out));
  if (tag) {
    const rep = await call("GET", "/tag/videos", { Tag: tag });
    if (rep) out.replaceChildren(el("h1", {}, "#" + tag), videos(rep, rep.List));
    return;
  }
  const rep = await call("GET", "/tag/trending", {}, true);
  if (rep && rep.List.length) out.replaceChildren(el("h1", {}, t("trending")), ...tags(rep.List));
}

// Where one is.
const routes = {
  feed: feedPage, v: videoPage, u: userPage, tag: searchPage, search: (v) => searchPage(v, ""), upload: uploadPage, mine: minePage, notices: noticesPage,
  login: (v) => loginPage(v, false), register: (v) => loginPage(v, true),
};

function show() {
  const [name, arg] = location.hash.replace(/^#\//, "").split("/");
  stopView();
  stopView = () => {};
  if ($("panel").open) $("panel").close();
  const view = $("view");
  view.replaceChildren();
  (routes[name] || feedPage)(view, decodeURIComponent(arg || ""));
  drawNav();
}

async function drawNav() {
  const here = location.hash.replace(/^#\//, "").split("/")[0] || "feed";
  const item = (name, label) => el("a", Object.assign({ href: "#/" + name }, here === name ? { "aria-current": "page" } : {}), label);
  const notices = item("notices", t("notices"));
  $("nav").replaceChildren(item("feed", t("feed")), item("search", t("search")), item("upload", t("upload")),
    ...(session ? [notices, item("mine", t("mine"))] : [item("login", t("login"))]));
  if (!session) return;
  const rep = await call("GET", "/notice/list", { Cursor: 0 }, true);
  if (rep && rep.Unread > 0) notices.append(el("b", {}, rep.Unread > 99 ? "99+" : String(rep.Unread)));
}

document.documentElement.lang = language;
addEventListener("hashchange", show);
addEventListener("pagehide", () => stopView());
show();
