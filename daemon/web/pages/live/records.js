// Recordings of a live room.
/* global mpegts */
import { t } from "./text.js";
import { api, call, choice, closePanel, el, field, form, openPanel, quiet, toast } from "../../common/base.js";
import { moment, own, period, size } from "./place.js";

const unfinished = 15000; // ms between looks while something is being recorded

export function recordsCard(room) {
  const list = el("div"), more = el("button", { type: "button", hidden: true, onclick: () => load(next) }, t("more"));
  const mode = choice(["off", "mp4", "flv"], "off");
  mode.id = "record";
  mode.onchange = async () => {
    if (await call("POST", "/live/record", { RoomId: room, Record: mode.value })) toast(t("saved"));
    setTimeout(() => load(0), 1500);
  };
  const box = el("section", { className: "card", hidden: true }, el("h2", {}, t("recordings")), field("record", mode), list, more);
  let next = 0, state = -1, began = false, at = 0;

  async function load(cursor) {
    at = Date.now();
    const rep = await call("GET", "/live/record/list", { RoomId: room, ...(cursor ? { Cursor: cursor } : {}) }, quiet);
    box.hidden = !rep && !list.children.length;
    if (!rep) return;
    next = rep.Next || 0;
    more.hidden = !next;
    if (!cursor) list.replaceChildren();
    list.append(...rep.List.map(line));
    if (!list.children.length) list.append(el("p", { className: "dim" }, t("noRecordings")));
  }

  const line = (r) => {
    const url = r.Url ? own(r.Url) || r.Url : "", done = r.State === "done" && url;
    const video = el("span", {}, r.VideoId ? el("a", { href: api("/video/#/v/" + r.VideoId) }, t("asVideo")) : "");
    const row = el("div", { className: "row recording" }, el("div", { className: "grow" }, el("b", {}, r.Title || t("recordings")),
      el("div", { className: "dim" }, [moment(r.Began), r.State === "recording" ? t("recording") : period(r.Seconds), size(r.Bytes), r.Format].join(" · ")),
      r.Reason ? el("div", { className: "bad" }, r.Reason) : null, video),
    el("div", { className: "acts" }, done ? el("button", { type: "button", onclick: () => play(r, url) }, t("play")) : null,
      done ? el("a", { className: "button", href: url, download: "live-" + r.Id + "." + r.Format }, t("download")) : null,
      done && !r.VideoId ? el("button", { type: "button", onclick: () => publish(r) }, t("publish")) : null,
      el("button", { type: "button", onclick: async () => {
        if (confirm(t("sure")) && await call("POST", "/live/record/delete", { Id: r.Id })) row.remove();
      } }, t("remove"))));
    return row;
  };

  function play(r, url) {
    const video = el("video", { controls: true, playsInline: true, autoplay: true, className: "recorded" });
    openPanel(r.Title || t("recordings"), video);
    const panel = document.getElementById("panel");
    let player = null;
    if (r.Format === "flv") {
      mpegts.LoggingControl.enableAll = false;
      player = mpegts.createPlayer({ type: "flv", url, isLive: false }, { enableWorker: false });
      player.attachMediaElement(video);
      player.load();
    } else {
      video.src = url;
    }
    panel.addEventListener("close", () => { player?.destroy(); video.pause(); video.removeAttribute("src"); video.load(); }, { once: true });
  }

  function publish(r) {
    const title = el("input", { value: r.Title || "", maxLength: 200, required: true });
    openPanel(t("publish"), form({}, async (say) => {
      const rep = await call("POST", "/live/record/publish", { Id: r.Id, Title: title.value }, say);
      if (!rep) return;
      closePanel();
      toast(t("published"));
      load(0);
    }, field("title", title), el("button", { className: "main" }, t("publish"))));
  }

  return {
    box,
    // look loads the list when the stream began or ended, and now and then while it runs.
    async look(info) {
      if (!began) {
        began = true;
        const now = info.Record || (await call("GET", "/live/record", { RoomId: room }, quiet))?.Record;
        if (now) mode.value = now;
      }
      if (info.State === state && !(state === 1 && mode.value !== "off" && Date.now() - at > unfinished)) return;
      const first = state < 0;
      state = info.State;
      await load(0);
      if (!first) setTimeout(() => load(0), 3000); // a file that ends takes a moment
    },
  };
}
