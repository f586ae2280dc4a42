// The other parts: one's own videos, people, search, notices, logging in.
import { t } from "./text.js";
import {
  call, choice, closePanel, el, face, field, followButton, form, logout, needLogin, openPanel, pages, quiet, report, session, setSession, when,
} from "../common/base.js";
import { loginForm } from "../common/login.js";
import { showFeed } from "./feed.js";
import { afterLogin, drawNav } from "./nav.js";
import { watchUpload } from "./upload.js";

const empty = () => el("p", { className: "dim" }, t("empty"));

// failed tells on the page that it could not be shown.
const failed = (view, again) => (text) => {
  view.box.replaceChildren(el("div", { className: "page" }, el("p", { className: "bad", role: "alert" }, text),
    el("button", { type: "button", onclick: () => { view.box.replaceChildren(); again(); } }, t("retry"))));
};

export async function feedPage(view) {
  const rep = await call("GET", "/video/home", {}, failed(view, () => feedPage(view)));
  if (rep && view.alive) showFeed(view, rep.List, rep.Endpoint, () => call("GET", "/video/home", {}, quiet));
}

// videoPage shows one video, with its comments if the address says so.
export async function videoPage(view, id, part) {
  const v = await call("GET", "/video/info", { videoId: id }, failed(view, () => videoPage(view, id, part)));
  const who = v && await call("GET", "/user/video-master-info", { userId: v.MasterUid }, quiet);
  if (!v || !view.alive) return;
  const feed = showFeed(view, [{
    Id: Number(id), UserId: v.MasterUid, Title: v.Title, Uri: v.VideoUri, Cover: v.VideoCover, Nickname: who ? who.Nickname : "",
    IsFollow: v.IsFollow, SupportNum: v.SupportNum, CollectNum: v.CollectNum, CommentNum: v.CommentNum, IsSupport: v.IsSupport, IsCollect: v.IsCollect, HasMaster: v.HasMaster,
  }], "", null);
  if (part === "comments") feed.firstChild.comments();
}

export function loginPage(view, signUp) {
  const other = el("a", { href: signUp ? "#/login" : "#/register", className: "dim" }, t(signUp ? "haveAccount" : "noAccount"));
  view.box.append(loginForm(signUp, { className: "page" }, [el("h1", {}, t(signUp ? "register" : "login"))], other, afterLogin));
}

async function leave() {
  await logout();
  location.hash = "#/feed";
}

// minePage shows one's own videos, in whatever state.
export function minePage(view) {
  if (needLogin()) return;
  const list = el("div"), sending = el("a", { href: "#/upload", className: "row", hidden: true });
  const name = el("h1", {}, session.name);
  view.box.append(el("div", { className: "page" }, name, el("p", { className: "act" }, el("a", { href: "#/u/" + session.user, className: "grow" }, t("profile")),
    el("button", { type: "button", onclick: () => namePanel(name) }, t("rename")), el("button", { type: "button", onclick: leave }, t("logout"))),
  sending, list));
  let rows, sent = 0;
  const reload = () => {
    let cursor = 0;
    const now = rows = el("div");
    list.replaceChildren(now);
    pages(now, async () => {
      const rep = await call("GET", "/video/mine", { Cursor: cursor });
      if (!rep || now !== rows) return false;
      cursor = rep.Next;
      for (const v of rep.List) now.append(mineRow(view, v, rep.Endpoint));
      if (!now.children.length) now.append(empty());
      return cursor > 0;
    });
  };
  reload();
  watchUpload(view, (job) => {
    sending.hidden = !job?.request;
    sending.textContent = (job?.title || "—") + ": " + (job?.text || "");
    if (job?.video && job.video !== sent) { // it has become one of the list
      sent = job.video;
      reload();
    }
  });
}

// namePanel changes the name that others see.
function namePanel(shown) {
  const name = el("input", { value: session.name, maxLength: 64, required: true });
  openPanel(t("rename"), form({}, async (say) => {
    if (!await call("POST", "/user/info", { Field: "nickname", Value: name.value }, say)) return;
    const rep = await call("GET", "/user/info", {}, quiet); // as the server cleaned it
    setSession({ ...session, name: rep ? rep.Nickname : name.value });
    shown.textContent = session.name;
    closePanel();
  }, field("nickname", name), el("button", { className: "main" }, t("save"))));
  name.select();
}

const unfinished = (v) => v.State === "queued" || v.State === "processing";

function mineRow(view, v, endpoint) {
  const row = el("div", { className: "row" });
  const draw = () => {
    const ready = v.State === "ready";
    const cover = ready && v.Cover ? el("img", { src: endpoint + v.Cover, alt: "", loading: "lazy" }) : el("span", { className: "thumb" });
    row.replaceChildren(ready ? el("a", { href: "#/v/" + v.VideoId, "aria-label": v.Title }, cover) : cover,
      el("div", { className: "grow" }, el("div", {}, v.Title || "—"),
        el("div", { className: v.State === "failed" ? "bad" : "dim" }, t(v.State) + (v.State === "processing" ? " " + v.Percent + " %" : "") + (v.Reason ? ": " + v.Reason : "")),
        el("div", { className: "dim" }, t(v.Visibility) + " · " + v.SupportNum + " " + t("likes") + " · " + when(v.CreateTime))),
      el("div", { className: "buttons" }, el("button", { type: "button", onclick: () => editPanel(v, draw) }, t("edit")),
        el("button", { type: "button", onclick: async () => {
          if (confirm(t("sure")) && await call("POST", "/video/delete", { VideoId: v.VideoId })) row.remove();
        } }, t("remove"))));
  };
  draw();
  if (unfinished(v)) watch(view, v, draw, () => {
    // Its cover and address are known now.
    call("GET", "/video/mine", { Cursor: v.VideoId + 1 }, quiet).then((rep) => {
      const now = rep?.List.find((o) => o.VideoId === v.VideoId);
      if (now) { Object.assign(v, now); draw(); }
    });
  });
  return row;
}

// watch follows the processing of a video while the page shows it.
async function watch(view, v, draw, done) {
  while (view.alive && unfinished(v)) {
    await new Promise((r) => setTimeout(r, 1500));
    const rep = view.alive && await call("GET", "/video/status", { videoId: v.VideoId }, quiet);
    if (rep) { Object.assign(v, { State: rep.State, Percent: rep.Percent, Reason: rep.Reason }); draw(); }
  }
  if (view.alive) done();
}

function editPanel(v, changed) {
  const title = el("input", { value: v.Title, maxLength: 200 });
  const visibility = choice(["public", "followers", "private"], v.Visibility);
  openPanel(t("edit"), form({}, async (say) => {
    if (!await call("POST", "/video/edit", { VideoId: v.VideoId, Title: title.value, Visibility: visibility.value }, say)) return;
    v.Title = title.value.trim() || v.Title;
    v.Visibility = visibility.value;
    closePanel();
    changed();
  }, field("about", title), field("visibility", visibility), el("button", { className: "main" }, t("save"))));
}

const rows = 12; // of a page of somebody's videos

export async function userPage(view, id, tab) {
  const who = await call("GET", "/user/video-master-info", { userId: id }, failed(view, () => userPage(view, id, tab)));
  if (!who || !view.alive) return;
  const user = Number(id), own = session?.user === user;
  const grid = el("div", { className: "grid" }), box = el("div", {}, grid);
  const tabs = { videos: "/user/creation-videos", liked: "/user/support-videos", ...(own ? { collected: "/user/collect-videos" } : {}) };
  const here = tabs[tab] ? tab : "videos";
  view.box.append(el("div", { className: "page" }, el("div", { className: "row head" }, face(who.Nickname, user), el("h1", { className: "grow" }, who.Nickname),
    followButton(user, who.IsFollow), own ? null : el("button", { type: "button", className: "plain dim", onclick: () => report("user", id) }, t("report"))),
  el("p", { className: "dim" }, "@" + who.Username + " · " + who.FansNum + " " + t("fans") + " · " + who.SupportNum + " " + t("likes")),
  who.Intro ? el("p", {}, who.Intro) : null,
  el("div", { className: "tabs" }, ...Object.keys(tabs).map((k) => el("a", { href: "#/u/" + id + "/" + k, ...(k === here ? { "aria-current": "page" } : {}) }, t(k)))), box));
  let n = 0;
  pages(box, async () => {
    const rep = await call("GET", tabs[here], { userId: id, page: ++n });
    if (!rep) return false;
    grid.append(...rep.List.map((v) => tile(v.VideoId, rep.Endpoint + v.Cover, v.Title)));
    if (!grid.children.length) grid.replaceWith(empty());
    return rep.List.length === rows;
  });
}

const tile = (id, cover, title) => el("a", { href: "#/v/" + id }, el("img", { src: cover, alt: "", loading: "lazy" }), el("span", {}, title));

export function noticesPage(view) {
  if (needLogin()) return;
  const list = el("div");
  view.box.append(el("div", { className: "page" }, el("h1", {}, t("notices")), list));
  const address = (n) => n.VideoId ? "#/v/" + n.VideoId + (n.CommentId ? "/comments" : "") : n.UserId ? "#/u/" + n.UserId : "";
  let cursor = 0;
  pages(list, async () => {
    const first = cursor === 0;
    const rep = await call("GET", "/notice/list", { Cursor: cursor });
    if (!rep) return false;
    cursor = rep.Next;
    for (const n of rep.List) {
      const to = address(n);
      list.append(el(to ? "a" : "div", { className: "row" + (n.Read ? "" : " new"), ...(to ? { href: to } : {}) },
        n.UserId ? face(n.Nickname, n.UserId) : null,
        el("div", { className: "grow" }, el("div", {}, n.Text), n.Content ? el("div", { className: "dim" }, n.Content) : null),
        n.Cover ? el("img", { src: rep.Endpoint + n.Cover, alt: "", loading: "lazy" }) : null,
        el("span", { className: "dim" }, when(n.CreateTime))));
    }
    if (!list.children.length) list.append(empty());
    if (first && rep.Unread > 0) call("POST", "/notice/read", { NoticeId: rep.List[0].NoticeId }, quiet).then(drawNav);
    return cursor > 0;
  });
}

export async function searchPage(view, tag) {
  const input = el("input", { type: "search", maxLength: 64, placeholder: t("search"), "aria-label": t("search"), required: true });
  const kind = choice(["videos", "users", "tags"], "videos");
  kind.setAttribute("aria-label", t("more"));
  const out = el("div");
  const videos = (grid, rep) => grid.append(...rep.map((v) => tile(v.Id, v.Cover, v.Title)));
  const full = (rep, list) => list.map((v) => ({ ...v, Cover: rep.Endpoint + v.Cover }));
  const tags = (list) => list.map((x) => el("a", { className: "row", href: "#/tag/" + encodeURIComponent(x.Tag) },
    el("span", { className: "grow" }, "#" + x.Tag), el("span", { className: "dim" }, String(x.VideoNum))));
  const people = (list) => list.map((u) => el("a", { className: "row", href: "#/u/" + u.UserId }, face(u.Nickname, u.UserId),
    el("span", { className: "grow" }, u.Nickname, " ", el("span", { className: "dim" }, "@" + u.Username))));

  // list pages through what one call answers.
  const list = (title, path, params) => {
    const grid = el("div", { className: "grid" }), lines = el("div"), none = el("p", { className: "dim" }, t("nobody")), box = el("div");
    let cursor = 0;
    out.replaceChildren(...(title ? [el("h1", {}, title)] : []), grid, lines, box);
    pages(box, async () => {
      const rep = await call("GET", path, { ...params, Cursor: cursor });
      if (!rep) return false;
      cursor = rep.Next;
      videos(grid, full(rep, rep.Videos || rep.List));
      lines.append(...tags(rep.Tags || []), ...people(rep.Users || []));
      if (!grid.children.length && !lines.children.length) lines.append(none);
      return cursor > 0;
    });
  };
  const search = el("form", { className: "search", role: "search", onsubmit: (e) => {
    e.preventDefault();
    if (session) list("", "/search", { Q: input.value, Kind: kind.value });
    else out.replaceChildren(el("p", { className: "dim" }, t("onlyUsers")), el("button", { type: "button", className: "main", onclick: needLogin }, t("login")));
  } }, input, kind, el("button", { className: "main" }, t("search")));
  view.box.append(el("div", { className: "page" }, search, out));
  if (tag) {
    list("#" + tag, "/tag/videos", { Tag: tag });
    return;
  }
  const rep = await call("GET", "/tag/trending", {}, quiet);
  if (rep?.List.length && !out.children.length) out.append(el("h1", {}, t("trending")), ...tags(rep.List));
}
