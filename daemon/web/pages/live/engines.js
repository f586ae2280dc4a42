// The ways to watch a stream. Each starts on a video and answers how to stop it, how to
// jump to what is newest, and its figures: bits per second, codecs, seconds behind.
// fail is told once why it cannot go on, and the HTTP status if there was one.
/* global Hls, mpegts */

// In the order in which they are tried.
export const ways = ["ll", "flv", "whep", "ts"];

const native = (video) => Boolean(video.canPlayType("application/vnd.apple.mpegurl"));
const byHls = () => Boolean(window.Hls?.isSupported());

export const possible = (way, video) => ({
  ll: byHls,
  flv: () => Boolean(window.mpegts?.getFeatureList().mseLivePlayback),
  whep: () => Boolean(window.RTCPeerConnection),
  ts: () => byHls() || native(video),
})[way]();

export const engines = {
  ll: (video, base, fail) => playHls(video, base + "/index.m3u8", true, fail),
  flv: (video, base, fail) => playFlv(video, base + ".flv", fail),
  whep: (video, base, fail) => playWhep(video, base + "/whep", fail),
  ts: (video, base, fail) => byHls() ? playHls(video, base + ".m3u8", false, fail) : playNative(video, base + ".m3u8", fail),
};

// ahead is how much is buffered in front of what is shown.
const ahead = (video) => video.buffered.length ? Math.max(0, video.buffered.end(video.buffered.length - 1) - video.currentTime) : 0;

function empty(video) {
  video.pause();
  video.srcObject = null;
  video.removeAttribute("src");
  video.load();
  video.playbackRate = 1;
}

// rate makes bits per second of bytes that come now and then.
function rate() {
  let bytes = 0, since = performance.now(), last = 0;
  return {
    add(n) { bytes += n; },
    bps() {
      const now = performance.now(), seconds = (now - since) / 1000;
      if (seconds >= 2) { last = 8 * bytes / seconds; bytes = 0; since = now; }
      return last;
    },
  };
}

const lateHls = 8; // seconds

function playHls(video, url, low, fail) {
  const hls = new Hls({
    // With low latency the playlist says how far behind it is safe.
    ...(low ? { lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.5 } : { liveSyncDurationCount: 2, liveMaxLatencyDurationCount: 6 }),
    enableWorker: false, liveDurationInfinity: true, backBufferLength: 10, maxBufferLength: 20,
  });
  const came = rate(), codecs = {};
  let mended = 0;
  hls.on(Hls.Events.BUFFER_APPENDING, (_, d) => came.add(d.data.byteLength));
  hls.on(Hls.Events.BUFFER_CODECS, (_, tracks) => {
    // Both may be in one track.
    for (const name of Object.values(tracks).flatMap((track) => (track?.codec || "").split(","))) {
      if (name) codecs[/^(mp4a|opus|ac-|ec-|mp3|fLaC)/i.test(name.trim()) ? "audio" : "video"] = name.trim();
    }
  });
  hls.on(Hls.Events.ERROR, (_, d) => {
    if (!d.fatal) return;
    if (d.type === Hls.ErrorTypes.MEDIA_ERROR && mended++ < 1) { hls.recoverMediaError(); return; }
    fail(d.details, d.response?.code);
  });
  video.onended = () => fail("end");
  hls.loadSource(url);
  hls.attachMedia(video);
  return {
    stop() { video.onended = null; hls.destroy(); empty(video); },
    live() { if (hls.liveSyncPosition > video.currentTime) video.currentTime = hls.liveSyncPosition; },
    async figures() {
      if (low && hls.latency > lateHls && !video.paused) this.live(); // too much to catch up with by playing faster
      return { bps: came.bps(), ...codecs, latency: hls.latency || ahead(video) };
    },
  };
}

function playNative(video, url, fail) {
  video.onerror = () => fail(video.error?.message || "error");
  video.onended = () => fail("end");
  video.src = url;
  return {
    stop() { video.onerror = video.onended = null; empty(video); },
    live() { if (video.seekable.length) video.currentTime = video.seekable.end(video.seekable.length - 1); },
    figures: async () => ({ latency: video.seekable.length ? Math.max(0, video.seekable.end(video.seekable.length - 1) - video.currentTime) : ahead(video) }),
  };
}

function playFlv(video, url, fail) {
  mpegts.LoggingControl.enableAll = false;
  const p = mpegts.createPlayer({ type: "flv", isLive: true, url }, {
    enableWorker: false, enableStashBuffer: false, lazyLoad: false, deferLoadAfterSourceOpen: false,
    liveBufferLatencyChasing: true, liveBufferLatencyMaxLatency: 1.5, liveBufferLatencyMinRemain: 0.3,
    liveSync: true, liveSyncMaxLatency: 0.8, liveSyncTargetLatency: 0.4, liveSyncPlaybackRate: 1.2,
    autoCleanupSourceBuffer: true, autoCleanupMaxBackwardDuration: 20, autoCleanupMinBackwardDuration: 10,
  });
  let codecs = {}, speed = 0;
  p.on(mpegts.Events.MEDIA_INFO, (m) => { codecs = { video: m.videoCodec, audio: m.audioCodec }; });
  p.on(mpegts.Events.STATISTICS_INFO, (s) => { speed = s.speed * 8192; });
  p.on(mpegts.Events.ERROR, (_, detail, info) => fail(info?.msg || detail, info?.code));
  p.on(mpegts.Events.LOADING_COMPLETE, () => fail("end"));
  p.attachMediaElement(video);
  p.load();
  return {
    stop() { p.destroy(); empty(video); },
    live() { const more = ahead(video); if (more > 0.8) video.currentTime += more - 0.3; },
    figures: async () => ({ bps: speed, ...codecs, latency: ahead(video) }),
  };
}

const gatherTime = 800; // ms that addresses of this device are waited for

// gathered waits until a connection knows its own addresses.
export const gathered = (pc) => new Promise((done) => {
  if (pc.iceGatheringState === "complete") { done(); return; }
  pc.addEventListener("icegatheringstatechange", () => { if (pc.iceGatheringState === "complete") done(); });
  setTimeout(done, gatherTime);
});

// negotiate offers a connection to an address of WHIP or WHEP, and answers what ends
// the session. It throws an error with the server's words and its status.
export async function negotiate(pc, url, headers) {
  await pc.setLocalDescription();
  await gathered(pc);
  if (pc.signalingState === "closed") throw new Error("closed");
  const rep = await fetch(url, { method: "POST", headers: { "Content-Type": "application/sdp", ...headers }, body: pc.localDescription.sdp });
  const text = await rep.text();
  if (rep.status !== 201) throw Object.assign(new Error(words(text)), { status: rep.status });
  // The last part only: a proxy may have taken a part of the path away.
  const session = url + "/" + (rep.headers.get("Location") || "").split("/").at(-1);
  const end = () => { fetch(session, { method: "DELETE", keepalive: true }).catch(() => {}); };
  if (pc.signalingState === "closed") { end(); throw new Error("closed"); }
  await pc.setRemoteDescription({ type: "answer", sdp: text });
  return end;
}

// words finds what a refusal says.
function words(text) {
  try {
    const rep = JSON.parse(text);
    return rep.message || rep.ApiMessage || text;
  } catch { return text.slice(0, 200); }
}

function playWhep(video, url, fail) {
  const pc = new RTCPeerConnection(), stream = new MediaStream(), came = rate();
  let end = () => {}, over = false, patience = 0, seen = 0, delay = { sum: 0, n: 0 };
  const stop = () => { over = true; clearTimeout(patience); end(); pc.close(); };
  pc.ontrack = (e) => {
    e.receiver.jitterBufferTarget = 0;
    stream.addTrack(e.track);
  };
  pc.onconnectionstatechange = () => {
    clearTimeout(patience);
    if (over) return;
    if (pc.connectionState === "failed") fail("connection failed");
    if (pc.connectionState === "disconnected") patience = setTimeout(() => fail("connection lost"), 4000);
  };
  for (const kind of ["video", "audio"]) pc.addTransceiver(kind, { direction: "recvonly" });
  video.srcObject = stream;
  negotiate(pc, url, {}).then((f) => { end = f; if (over) end(); }, (e) => { if (!over) fail(e.message, e.status); });
  return {
    stop() { stop(); empty(video); },
    live() {},
    async figures() {
      const out = {}, stats = [...(await pc.getStats()).values()];
      let bytes = 0;
      for (const s of stats.filter((s) => s.type === "inbound-rtp")) {
        bytes += s.bytesReceived;
        out[s.kind] = stats.find((c) => c.id === s.codecId)?.mimeType.split("/")[1];
        if (s.kind !== "video") continue;
        out.dropped = s.framesDropped;
        const sum = s.jitterBufferDelay - delay.sum, n = s.jitterBufferEmittedCount - delay.n;
        delay = { sum: s.jitterBufferDelay, n: s.jitterBufferEmittedCount };
        out.latency = n > 0 ? sum / n : 0;
      }
      const trip = stats.find((s) => s.type === "candidate-pair" && s.nominated)?.currentRoundTripTime || 0;
      out.latency = (out.latency || 0) + trip / 2;
      came.add(bytes - seen);
      seen = bytes;
      out.bps = came.bps();
      return out;
    },
  };
}
