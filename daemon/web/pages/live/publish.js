// Streaming from the browser: camera or screen, by WHIP.
import { t } from "./text.js";
import { el, toast } from "../../common/base.js";
import { negotiate } from "./engines.js";
import { kbps, media } from "./place.js";

const sizes = { "1920": [1920, 1080, 4500], "1280": [1280, 720, 2500], "854": [854, 480, 1200], "640": [640, 360, 700] }; // width, height, kbit/s
const again = 3; // times that a lost connection is made once more

// In words what the browser says when it gives no camera.
const refusals = {
  NotAllowedError: "notAllowed", NotFoundError: "noDevice", NotReadableError: "deviceBusy", OverconstrainedError: "noDevice", AbortError: "deviceBusy",
};

// publishCard makes the part. room has: stage and veil, where the picture is shown; key,
// which answers the stream key; changed, told when it began or ended.
export function publishCard(number, { stage, veil, key, changed }) {
  const says = el("p", { className: "bad", role: "alert" }), facts = el("p", { className: "figures dim", role: "status" });
  const source = el("select", { id: "source" }, el("option", { value: "camera" }, t("camera")), el("option", { value: "screen" }, t("screen")));
  const camera = el("select", { id: "camera" }), microphone = el("select", { id: "microphone" });
  const quality = el("select", { id: "size" }, ...Object.entries(sizes).map(([w, s]) => el("option", { value: w, selected: w === "1280" }, s[1] + "p · " + kbps(s[2]))));
  const look = el("button", { type: "button", onclick: () => preview() }, t("preview"));
  const go = el("button", { type: "button", className: "main", id: "go", onclick: () => start() }, t("goLive"));
  const stopButton = el("button", { type: "button", className: "danger", id: "stop", hidden: true, onclick: () => stop() }, t("stopLive"));
  const quietButton = el("button", { type: "button", hidden: true, onclick: () => hush() }, t("micOff"));
  const local = el("video", { className: "local", muted: true, playsInline: true, autoplay: true, hidden: true });
  const cameraField = el("label", {}, t("camera"), camera);
  const controls = el("div", { className: "fields" }, el("label", {}, t("source"), source), cameraField, el("label", {}, t("microphone"), microphone), el("label", {}, t("size"), quality));
  const box = el("section", { className: "card publish" }, el("h2", {}, t("fromBrowser")), controls, el("p", { className: "act" }, look, go, stopButton, quietButton), says, facts);
  stage.prepend(local);

  let stream = null, pc = null, end = () => {}, timer = 0, turn = 0, tries = 0, sending = false;
  const sayWhy = (e) => { says.textContent = refusals[e.name] ? t(refusals[e.name]) : e.message || String(e); };
  const can = Boolean(navigator.mediaDevices?.getUserMedia);
  if (!can) {
    controls.hidden = look.hidden = go.hidden = true;
    box.append(el("p", { className: "dim" }, t("needsHttps")));
  }
  if (!navigator.mediaDevices?.getDisplayMedia) source.lastChild.remove();
  source.onchange = async () => { cameraField.hidden = source.value === "screen"; await renew(); };
  camera.onchange = microphone.onchange = quality.onchange = () => renew();

  // devices fills the menus. Browsers tell names only to pages that had a device once.
  async function devices() {
    const list = await navigator.mediaDevices.enumerateDevices();
    const fill = (menu, kind, none) => {
      const chosen = menu.value, of = list.filter((d) => d.kind === kind && d.deviceId);
      menu.replaceChildren(...of.map((d, i) => el("option", { value: d.deviceId, selected: d.deviceId === chosen }, d.label || t(none) + " " + (i + 1))), el("option", { value: "none", selected: chosen === "none" }, t("none")));
      if (!of.length) menu.prepend(el("option", { value: "", selected: chosen !== "none" }, t("standard")));
    };
    fill(camera, "videoinput", "camera");
    fill(microphone, "audioinput", "microphone");
  }
  if (can) {
    devices().catch(() => {});
    navigator.mediaDevices.ondevicechange = () => devices().catch(() => {});
  }

  async function open() {
    const [width, height] = sizes[quality.value], rate = { ideal: 30 };
    const device = (menu) => menu.value && menu.value !== "none" ? { deviceId: { exact: menu.value } } : {};
    const sound = microphone.value !== "none" && { ...device(microphone), echoCancellation: source.value === "camera" };
    const opened = new MediaStream();
    if (source.value === "screen") {
      const screen = await navigator.mediaDevices.getDisplayMedia({ video: { width: { max: width }, height: { max: height }, frameRate: rate }, audio: true });
      screen.getTracks().forEach((track) => opened.addTrack(track));
      if (!screen.getAudioTracks().length && sound) {
        const voice = await navigator.mediaDevices.getUserMedia({ audio: sound }).catch(() => null);
        voice?.getTracks().forEach((track) => opened.addTrack(track));
      }
    } else {
      const picture = camera.value !== "none" && { ...device(camera), width: { ideal: width }, height: { ideal: height }, frameRate: rate };
      (await navigator.mediaDevices.getUserMedia({ video: picture, audio: sound })).getTracks().forEach((track) => opened.addTrack(track));
    }
    devices().catch(() => {});
    opened.getVideoTracks()[0]?.addEventListener("ended", () => { if (opened === stream) stop(); }); // the browser's own "stop sharing"
    for (const track of opened.getVideoTracks()) track.contentHint = source.value === "screen" ? "detail" : "motion";
    return opened;
  }

  function showLocal() {
    local.hidden = false;
    veil.hidden = true;
    local.srcObject = stream;
    local.classList.toggle("mirror", source.value === "camera");
  }

  function close() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    local.srcObject = null;
    local.hidden = true;
  }

  async function preview() {
    says.textContent = "";
    try {
      close();
      stream = await open();
      showLocal();
    } catch (e) { sayWhy(e); }
  }

  // renew takes another device while one is in use, without a pause of the stream.
  async function renew() {
    if (!stream) return;
    if (!sending) { await preview(); return; }
    try {
      const old = stream, fresh = await open();
      for (const s of pc.getSenders()) {
        const track = fresh.getTracks().find((of) => of.kind === s.track?.kind);
        if (track) await s.replaceTrack(track);
      }
      stream = fresh;
      old.getTracks().forEach((track) => track.stop());
      showLocal();
      await limit();
    } catch (e) { sayWhy(e); }
  }

  const limit = async () => {
    for (const s of pc.getSenders()) {
      if (s.track?.kind !== "video") continue;
      const p = s.getParameters();
      for (const e of p.encodings) e.maxBitrate = 1000 * sizes[quality.value][2];
      p.degradationPreference = source.value === "screen" ? "maintain-resolution" : "maintain-framerate";
      await s.setParameters(p).catch(() => {});
    }
  };

  function buttons() {
    go.hidden = sending || !can;
    look.hidden = sending || !can;
    stopButton.hidden = !sending;
    quietButton.hidden = !sending || !stream?.getAudioTracks().length;
    source.disabled = sending;
  }

  async function start() {
    says.textContent = "";
    go.disabled = true;
    try {
      if (!stream) { stream = await open(); showLocal(); }
      if (!stream.getTracks().length) { says.textContent = t("noDevice"); close(); return; }
      sending = true;
      tries = 0;
      await connect();
    } catch (e) { sayWhy(e); stop(); } finally { go.disabled = false; buttons(); }
  }

  async function connect() {
    const mine = ++turn, rep = await key();
    if (!rep || mine !== turn) { if (!rep) throw new Error(t("offline")); return; }
    facts.textContent = t("connecting");
    const c = pc = new RTCPeerConnection();
    for (const track of stream.getTracks()) {
      const tr = c.addTransceiver(track, { direction: "sendonly", streams: [stream] });
      if (track.kind !== "video") continue;
      const all = RTCRtpSender.getCapabilities("video").codecs, h264 = all.filter((k) => k.mimeType === "video/H264");
      if (h264.length) tr.setCodecPreferences([...h264, ...all.filter((k) => k.mimeType === "video/rtx")]);
    }
    c.onconnectionstatechange = () => {
      if (mine !== turn) return;
      if (c.connectionState === "connected") { tries = 0; changed(); }
      if (c.connectionState === "failed" || c.connectionState === "closed") lost();
    };
    await limit();
    const done = await negotiate(c, media(number) + "/whip", { Authorization: "Bearer " + rep.Key });
    if (mine !== turn) { done(); return; }
    end = done;
    buttons();
    clearInterval(timer);
    timer = setInterval(measure, 1000);
  }

  async function lost() {
    hangUp();
    if (!sending || tries++ >= again) { stop(); says.textContent = t("lostLive"); return; }
    facts.textContent = t("connecting");
    await new Promise((r) => setTimeout(r, 1000 * tries));
    if (sending && !pc) connect().catch((e) => { stop(); sayWhy(e); });
  }

  let last = { bytes: 0, at: 0 };
  async function measure() {
    if (!pc) return;
    const stats = [...(await pc.getStats()).values()], out = stats.filter((s) => s.type === "outbound-rtp"), v = out.find((s) => s.kind === "video");
    const bytes = out.reduce((sum, s) => sum + s.bytesSent, 0), now = performance.now();
    const rate = last.at ? 8 * Math.max(0, bytes - last.bytes) / (now - last.at) : 0;
    last = { bytes, at: now };
    const trip = stats.find((s) => s.type === "candidate-pair" && s.nominated)?.currentRoundTripTime;
    const lostPart = stats.find((s) => s.type === "remote-inbound-rtp" && s.kind === "video")?.fractionLost;
    facts.replaceChildren(...[
      v?.frameWidth ? v.frameWidth + "×" + v.frameHeight : "", v?.framesPerSecond ? Math.round(v.framesPerSecond) + " fps" : "", rate ? kbps(rate) : "",
      trip !== undefined ? Math.round(1000 * trip) + " ms" : "", lostPart > 0.01 ? Math.round(100 * lostPart) + " % " + t("lostPackets") : "",
      v?.qualityLimitationReason === "bandwidth" ? t("slowNetwork") : v?.qualityLimitationReason === "cpu" ? t("slowDevice") : "",
    ].filter(Boolean).map((text) => el("span", {}, text)));
  }

  function hangUp() {
    turn++;
    clearInterval(timer);
    end();
    end = () => {};
    pc?.close();
    pc = null;
    last = { bytes: 0, at: 0 };
  }

  function stop() {
    const was = sending;
    sending = false;
    hangUp();
    close();
    facts.textContent = "";
    buttons();
    if (was) { changed(); toast(t("ended")); }
  }

  function hush() {
    const tracks = stream?.getAudioTracks() || [], on = !tracks[0]?.enabled;
    tracks.forEach((track) => { track.enabled = on; });
    quietButton.textContent = t(on ? "micOff" : "micOn");
  }

  addEventListener("beforeunload", (e) => { if (sending) e.preventDefault(); });
  return { box, stop: () => { if (sending) stop(); else close(); }, busy: () => sending || Boolean(stream) };
}
