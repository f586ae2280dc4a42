// The long connection to the chat of a live room: frames over a WebSocket (/sub).
import { api, session } from "../../common/base.js";

const op = { heartbeat: 2, heartbeatReply: 3, auth: 7, authReply: 8, batch: 9, enter: 12, entered: 13, notice: 21 };
const head = 16; // bytes in front of a body
const beat = 30000; // ms between heartbeats
const rests = [1, 2, 4, 8, 15, 30]; // seconds before it connects again

function frame(operation, body) {
  const bytes = new TextEncoder().encode(body), v = new DataView(new ArrayBuffer(head + bytes.length));
  v.setInt32(0, head + bytes.length);
  v.setInt16(4, head);
  v.setInt16(6, 1);
  v.setInt32(8, operation);
  v.setInt32(12, 1);
  new Uint8Array(v.buffer).set(bytes, head);
  return v.buffer;
}

// frames calls f with each frame of a message, those in batches, too.
function frames(bytes, f) {
  for (let at = 0; at + head <= bytes.length;) {
    const v = new DataView(bytes.buffer, bytes.byteOffset + at), length = v.getInt32(0), operation = v.getInt32(8);
    if (length < head || at + length > bytes.length) return;
    const body = bytes.subarray(at + head, at + length);
    if (operation === op.batch) frames(body, f);
    else f(operation, body);
    at += length;
  }
}

const json = (body) => { try { return JSON.parse(new TextDecoder().decode(body)); } catch { return null; } };

// connect stays connected until close is called. on gets message(m) of the room,
// notice(n), online(number of connections) and state("on", "off" or "refused", code).
// token is what stands in front of the room in the address of the page, if anything.
export function connect(room, on, token = "") {
  let socket = null, timer = 0, heart = 0, tries = 0, closed = false;
  const begin = () => {
    clearTimeout(timer);
    const s = socket = new WebSocket(api("/sub").replace(/^http/, "ws"));
    s.binaryType = "arraybuffer";
    s.onopen = () => s.send(frame(op.auth, JSON.stringify({ userToken: session?.token || "", platform: "web", features: ["live"] })));
    s.onmessage = (e) => { if (s === socket) frames(new Uint8Array(e.data), take); };
    s.onclose = () => { if (s === socket) again(); };
  };
  const again = () => {
    clearInterval(heart);
    socket = null;
    if (closed) return;
    on.state("off", 0);
    timer = setTimeout(begin, 1000 * rests[Math.min(tries++, rests.length - 1)] * (0.75 + Math.random() / 2));
  };
  const ask = (s) => s.send(frame(op.enter, "live_" + room + (token ? "/" + token : "")));
  const take = (operation, body) => {
    switch (operation) {
      case op.authReply:
        ask(socket);
        heart = setInterval(() => socket?.send(frame(op.heartbeat, "")), beat);
        socket.send(frame(op.heartbeat, ""));
        return;
      case op.entered: {
        const code = body.length ? json(body)?.ApiCode || 0 : 0;
        if (code === 0) tries = 0;
        on.state(code === 0 ? "on" : "refused", code);
        return;
      }
      case op.heartbeatReply:
        if (body.length === 4) on.online(new DataView(body.buffer, body.byteOffset).getInt32(0));
        return;
      case op.notice: {
        const n = json(body);
        if (n) on.notice(n);
        return;
      }
      case 100 + room: {
        const m = json(body);
        if (m) on.message(m);
      }
    }
  };
  const drop = () => { const s = socket; clearInterval(heart); clearTimeout(timer); socket = null; s?.close(); };
  begin();
  return {
    close() { closed = true; drop(); },
    // enter asks to be in the room once more: who is there hears nothing of it.
    enter() { if (heart && socket?.readyState === 1) ask(socket); },
    // again connects as whoever is logged in now.
    again() { drop(); tries = 0; begin(); },
  };
}
