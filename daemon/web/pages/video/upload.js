// Uploading: the file goes out in one request, whose progress is shown, and goes on
// while one looks at other parts of the page.
import { t } from "./text.js";
import { api, call, choice, el, field, headers, loggedOut, needLogin, quiet, session, toast } from "../common/base.js";

const poll = 700; // ms between looks at how far the processing is

let job = null; // the upload under way, or the last one that ended badly
const watchers = new Set();
const redraw = (to) => watchers.forEach((f) => f(job, to));

// watchUpload tells a view of the upload under way: now, and whenever it changes.
export function watchUpload(view, f) {
  watchers.add(f);
  view.onleave(() => watchers.delete(f));
  f(job);
}

addEventListener("beforeunload", (e) => { if (job?.request) e.preventDefault(); });

function start(file, title, visibility) {
  const mine = job = { percent: 0, text: t("sending"), bad: false, request: new XMLHttpRequest(), title, token: session.token };
  const x = mine.request;
  const end = (text) => { mine.request = null; mine.text = text; mine.bad = text !== ""; redraw(); };
  const data = new FormData();
  data.append("title", title);
  data.append("visibility", visibility);
  data.append("file", file);
  x.open("POST", api("/video-upload"));
  for (const [k, v] of Object.entries(headers())) x.setRequestHeader(k, v);
  x.upload.onprogress = (p) => {
    if (!p.lengthComputable) return;
    mine.percent = 100 * p.loaded / p.total;
    mine.text = t("sending") + " " + Math.floor(mine.percent) + " %";
    redraw();
  };
  x.onerror = () => end(t("refused"));
  x.onabort = () => { job = null; redraw(); };
  x.onload = () => {
    let rep;
    try { rep = JSON.parse(x.responseText); } catch { rep = { ApiCode: 1, ApiMessage: t("offline") }; }
    if (rep.ApiCode === 1000) loggedOut(mine.token);
    if (rep.ApiCode !== 0) { end(rep.ApiMessage); return; }
    mine.request = null;
    mine.video = rep.VideoId;
    redraw();
    follow(mine);
  };
  x.send(data);
  redraw();
}

// follow tells how far the processing is, until it has ended.
async function follow(mine) {
  const id = mine.video;
  while (job === mine) {
    if (session?.token !== mine.token) { // somebody logged out
      job = null;
      redraw();
      return;
    }
    const rep = await call("GET", "/video/status", { videoId: id }, quiet);
    if (rep) {
      mine.percent = rep.Percent;
      mine.text = t(rep.State) + (rep.State === "processing" ? " " + rep.Percent + " %" : "") + (rep.Reason ? ": " + rep.Reason : "");
      if (rep.State !== "queued" && rep.State !== "processing") {
        mine.bad = rep.State === "failed";
        mine.video = 0;
        if (rep.State === "ready") {
          job = null;
          toast(t("done"));
        }
        redraw(rep.State === "ready" ? "#/v/" + id : "");
        return;
      }
      redraw();
    }
    await new Promise((r) => setTimeout(r, poll));
  }
}

export function uploadPage(view) {
  if (needLogin()) return;
  const file = el("input", { type: "file", id: "file", accept: "video/*,.mkv,.flv,.ts", required: true });
  file.onchange = () => { if (job?.bad) { job = null; redraw(); } };
  const title = el("input", { id: "title", maxLength: 200, autocomplete: "off" });
  const visibility = choice(["public", "followers", "private"], "public");
  const bar = el("progress", { max: 100, "aria-label": t("upload") });
  const state = el("p", { role: "status", id: "state" });
  const go = el("button", { className: "main" }, t("upload"));
  const stop = el("button", { type: "button", onclick: () => job?.request?.abort() }, t("cancel"));
  view.box.append(el("form", { className: "page", onsubmit: (e) => {
    e.preventDefault();
    if (needLogin()) return;
    if (!file.files.length) { toast(t("choose")); return; }
    start(file.files[0], title.value, visibility.value);
  } }, el("h1", {}, t("upload")), field("file", file), field("about", title), field("visibility", visibility), go, " ", stop, bar, state));
  watchUpload(view, (job, to) => {
    const busy = Boolean(job && (job.request || job.video));
    go.disabled = file.disabled = title.disabled = visibility.disabled = busy;
    bar.hidden = !busy;
    bar.value = job?.percent || 0;
    stop.hidden = !job?.request;
    state.textContent = job?.text || "";
    state.className = job?.bad ? "bad" : "dim";
    if (to) location.hash = to;
  });
}
