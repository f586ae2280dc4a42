// Clips below each other, of which the one on screen plays.
/* global Hls */
import { language, t } from "./text.js";
import {
  call, closePanel, el, face, followButton, icon, needLogin, openPanel, panelOpen, quiet, report, session, share, showLink,
} from "../common/base.js";
import { showComments } from "./comments.js";

let muted = true; // browsers play nothing aloud before somebody touched the page

// address is the playlist of a video. Players that choose get all renditions.
const address = (v, endpoint) => endpoint + (v.HasMaster && window.Hls?.isSupported() ? v.Uri.replace(/index\.m3u8$/, "master.m3u8") : v.Uri);

const warmSeconds = 2, playSeconds = 15; // how far ahead is loaded, beside and on screen

// attach has a video play a playlist: by Media Source Extensions, else by the
// browser's own means (iPhones). fail is called when it cannot.
function attach(video, uri, ahead, fail) {
  if (!window.Hls || !Hls.isSupported()) {
    if (!video.canPlayType("application/vnd.apple.mpegurl")) { fail(); return; }
    video.onerror = fail;
    video.preload = "auto";
    video.src = uri;
    return;
  }
  const hls = new Hls({
    enableWorker: false, capLevelToPlayerSize: true, abrEwmaDefaultEstimate: 2e6, maxBufferSize: 0, maxBufferLength: ahead, maxMaxBufferLength: 30, backBufferLength: 60,
  });
  let mended = 0;
  hls.on(Hls.Events.ERROR, (_, d) => {
    if (!d.fatal) return;
    if (d.type === Hls.ErrorTypes.MEDIA_ERROR && mended++ < 2) { hls.recoverMediaError(); return; }
    fail();
  });
  hls.loadSource(uri);
  hls.attachMedia(video);
  video.hls = hls;
}

function detach(video) {
  video.onerror = null;
  video.hls?.destroy();
  video.pause();
  video.removeAttribute("src");
  video.load();
  video.remove();
}

// aboutText makes the #tags of a title links.
function aboutText(title) {
  const p = el("p");
  let from = 0;
  for (const m of title.matchAll(/[#＃]([\p{L}\p{N}\p{M}_]+)/gu)) {
    p.append(title.slice(from, m.index), el("a", { href: "#/tag/" + encodeURIComponent(m[1]) }, m[0]));
    from = m.index + m[0].length;
  }
  p.append(title.slice(from));
  return p;
}

const short = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });

// sideButton is an icon with a number or word below it.
function sideButton(name, props) {
  const text = el("span");
  const b = el("button", { type: "button", title: t(name), ...props }, icon(name), text);
  b.show = (n) => { text.textContent = typeof n === "number" ? short.format(n) : n; b.setAttribute("aria-label", t(name) + (typeof n === "number" ? " " + n : "")); };
  return b;
}

// toggle is a button for what one does or takes back, with its number.
function toggle(name, on, n, act) {
  const b = sideButton(name, {});
  const draw = () => { b.show(n); b.setAttribute("aria-pressed", String(on)); };
  b.onclick = async () => {
    if (needLogin() || b.disabled) return;
    b.disabled = true;
    if (await act(on ? 0 : 1)) { on = !on; n = Math.max(0, n + (on ? 1 : -1)); }
    b.disabled = false;
    draw();
  };
  draw();
  return b;
}

function clipView(v, endpoint, feed) {
  const uri = address(v, endpoint);
  const bar = el("div", { className: "bar" });
  const bad = el("p", { className: "note", hidden: true }, t("cannotPlay"));
  const comments = sideButton("comments", { onclick: () => showComments(v, comments.show) });
  comments.show(v.CommentNum || 0);
  const like = toggle("like", v.IsSupport, v.SupportNum, (on) => call("POST", "/video/support", { videoId: v.Id, action: on }));
  const shareButton = sideButton("share", { onclick: () => shareVideo(v) });
  shareButton.show(t("share"));
  const more = sideButton("more", { onclick: () => moreMenu(v, box, feed) });
  more.show("");
  const sound = el("button", { type: "button", className: "sound", onclick: () => feed.mute(!muted) }, t(muted ? "sound" : "mute"));
  const box = el("section", { className: "clip", "aria-label": v.Title || "@" + v.Nickname },
    el("img", { className: "poster", src: endpoint + v.Cover, alt: "", loading: "lazy" }),
    el("div", { className: "about" }, el("div", {}, el("a", { href: "#/u/" + v.UserId }, face(v.Nickname, v.UserId), "@" + v.Nickname),
      followButton(v.UserId, v.IsFollow)), aboutText(v.Title)),
    el("div", { className: "side" }, like, comments,
      toggle("keep", v.IsCollect, v.CollectNum, (on) => call("POST", "/video/collect", { videoId: v.Id, action: on })), shareButton, more),
    sound, bad, bar);

  let video = null, since = 0, watched = 0;
  const note = () => { if (since) { watched += Date.now() - since; since = 0; } };
  const warm = (ahead) => {
    if (video) {
      if (video.hls) video.hls.config.maxBufferLength = ahead;
      return;
    }
    video = el("video", { loop: true, playsInline: true, muted, disableRemotePlayback: true });
    video.onclick = () => box.toggle();
    video.onplaying = () => { since = since || Date.now(); };
    video.onpause = note;
    video.ontimeupdate = () => { if (video?.duration) bar.style.transform = "scaleX(" + video.currentTime / video.duration + ")"; };
    box.firstChild.after(video);
    attach(video, uri, ahead, () => { bad.hidden = false; });
  };
  box.clip = v;
  box.like = () => like.click();
  box.comments = () => comments.click();
  box.warm = () => warm(warmSeconds);
  box.mute = () => { if (video) video.muted = muted; sound.textContent = t(muted ? "sound" : "mute"); };
  box.play = () => {
    const at = video;
    at?.play().catch((e) => { // without a touch of the page there is no sound
      if (e.name === "NotAllowedError" && !muted) { feed.mute(true); at.play().catch(() => {}); }
    });
  };
  box.toggle = () => { if (video?.paused) box.play(); else video?.pause(); };
  box.start = () => { warm(playSeconds); video.muted = muted; box.play(); };
  box.pause = () => video?.pause();
  box.stop = () => {
    video?.pause();
    note();
    if (watched > 300) call("POST", "/video/played", { VideoId: v.Id, WatchMs: watched }, quiet);
    watched = 0;
    if (video?.hls) video.hls.config.maxBufferLength = warmSeconds;
  };
  box.drop = () => {
    if (!video) return;
    box.stop();
    const old = video;
    video = null;
    detach(old);
    bad.hidden = true;
    bar.style.transform = "";
  };
  return box;
}

const link = (v) => location.origin + location.pathname + "#/v/" + v.Id;

async function shareVideo(v) {
  if (await share(v.Title, link(v)) && session) call("POST", "/video/incr-share-count", { videoId: v.Id }, quiet);
}

function moreMenu(v, box, feed) {
  const item = (name, act) => el("button", { type: "button", className: "wide", onclick: () => { closePanel(); act(); } }, t(name));
  openPanel(t("more"), item("link", () => showLink(link(v))),
    session?.user === v.UserId ? null : item("less", async () => {
      if (!needLogin() && await call("POST", "/video/not-interested", { VideoId: v.Id })) feed.remove(box);
    }),
    session?.user === v.UserId ? null : item("report", () => report("video", v.Id)));
}

// showFeed fills a view with clips. more, if it is not null, answers the next ones.
export function showFeed(view, first, endpoint, more) {
  const feed = el("div", { className: "feed", tabIndex: 0 });
  let current = null, loading = false;

  const add = (list, ep) => {
    for (const v of list) {
      const c = clipView(v, ep, feed);
      feed.append(c);
      watcher.observe(c);
    }
  };
  // When a site has few videos they come again, but not side by side.
  const lately = () => [...feed.children].slice(-3).map((c) => c.clip.Id);
  const load = async () => {
    if (loading || !more) return;
    loading = true;
    const rep = await more();
    loading = false;
    if (!rep || !view.alive) return;
    const skip = lately();
    add(rep.List.filter((v) => !skip.includes(v.Id)), rep.Endpoint);
    warmNext();
  };
  const warmNext = () => current?.nextElementSibling?.warm();
  const show = (clip) => {
    if (clip === current) return;
    current?.stop();
    current = clip;
    clip.start();
    const all = [...feed.children], at = all.indexOf(clip);
    all.forEach((c, i) => { if (Math.abs(i - at) > 1) c.drop(); });
    warmNext();
    if (all.length - at < 4) load();
  };
  const watcher = new IntersectionObserver((entries) => {
    for (const e of entries) if (e.isIntersecting) show(e.target);
  }, { root: feed, threshold: 0.6 });

  feed.mute = (on) => { muted = on; for (const c of feed.children) c.mute(); };
  feed.remove = (box) => {
    if (!feed.contains(box)) return;
    watcher.unobserve(box);
    box.drop();
    if (box === current) current = null;
    box.replaceWith(); // the next one comes to its place
    if (!current && feed.children.length) load();
  };
  const go = (to) => to?.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  const keys = {
    ArrowDown: () => go(current?.nextElementSibling), ArrowUp: () => go(current?.previousElementSibling),
    PageDown: () => go(current?.nextElementSibling), PageUp: () => go(current?.previousElementSibling),
    " ": () => current?.toggle(), m: () => feed.mute(!muted), l: () => current?.like(), c: () => current?.comments(),
  };
  const onkey = (e) => {
    if (e.ctrlKey || e.altKey || e.metaKey || panelOpen() || !keys[e.key]) return;
    const at = e.target.tagName;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(at) || (e.key === " " && /^(BUTTON|A)$/.test(at))) return;
    e.preventDefault();
    keys[e.key]();
  };
  const onvisible = () => { if (document.hidden) current?.pause(); else current?.play(); };
  const onhide = () => current?.stop(); // the page goes: tell how long it was watched
  document.addEventListener("keydown", onkey);
  document.addEventListener("visibilitychange", onvisible);
  addEventListener("pagehide", onhide);
  view.onleave(() => {
    document.removeEventListener("keydown", onkey);
    document.removeEventListener("visibilitychange", onvisible);
    removeEventListener("pagehide", onhide);
    watcher.disconnect();
    for (const c of feed.children) c.drop();
  });

  add(first, endpoint);
  view.box.append(feed);
  feed.focus({ preventScroll: true });
  return feed;
}
