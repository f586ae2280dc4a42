// Playing a stream by whichever way works: it starts with the one that was chosen, goes
// to the next when one fails or stands still, and begins anew when all did.
import { engines, possible, ways } from "./engines.js";

const startTime = 10, stallTime = 6; // seconds without a new picture: before the first one, and later
const firstTime = 3; // before the first one, while nobody chose how to watch: another way may have it at once
const steadyTime = 10; // seconds after which a way that fails is tried once more
const restTimes = [2, 4, 8, 15]; // seconds before all ways are tried again

export class Player {
  // tell gets what happens: "starting", "playing", "blocked" (the browser wants a touch
  // first), "lost" (this way failed), "failed" (all did), "idle"; and figures once a
  // second. onAir is asked after a failure: false means that there is no stream any more.
  constructor(video, tell, figures, onAir) {
    Object.assign(this, { video, tell, figures, onAir });
    this.turn = 0;
    this.choice = "auto";
    this.active = false; // it plays, or tries to
    this.engine = null;
    this.rests = 0;
    setInterval(() => this.look(), 1000);
    video.addEventListener("timeupdate", () => this.goesOn());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) { this.moved = performance.now(); this.live(); } });
  }

  // start plays what is at an address: that of a room without what tells ways apart.
  start(base, choice = this.choice) {
    this.halt();
    Object.assign(this, { base, choice, active: true, at: 0 });
    const can = ways.filter((w) => possible(w, this.video));
    this.order = can.includes(choice) ? [choice, ...can.filter((w) => w !== choice)] : can;
    if (!this.order.length) { this.active = false; this.tell("failed", { why: "" }); return; }
    this.attempt();
  }

  // halt stops without a word.
  halt() {
    this.turn++;
    clearTimeout(this.timer);
    this.engine?.stop();
    this.engine = null;
    this.playing = false;
  }

  stop() {
    this.halt();
    this.active = false;
    this.rests = 0;
    this.tell("idle", {});
  }

  get way() { return this.order?.[this.at]; }

  attempt() {
    this.halt();
    const turn = this.turn, now = performance.now();
    Object.assign(this, { moved: now, began: 0, position: -1, frames: 0, counted: now });
    this.tell("starting", { way: this.way });
    try {
      this.engine = engines[this.way](this.video, this.base, (why, status) => { if (turn === this.turn) this.lost(why, status); });
    } catch (e) { this.lost(e.message); return; }
    this.play();
  }

  play() {
    this.video.play().catch((e) => { if (e.name === "NotAllowedError") this.tell("blocked", {}); });
  }

  // resume goes on after a pause, with what is newest.
  resume() {
    if (this.pausedAt && performance.now() - this.pausedAt > 15000 && this.engine) this.attempt();
    else { this.play(); this.live(); }
    this.pausedAt = 0;
    this.moved = performance.now();
  }

  pause() {
    this.pausedAt = performance.now();
    this.video.pause();
  }

  live() { this.engine?.live(); }

  async lost(why, status) {
    const steady = this.began && performance.now() - this.began > 1000 * steadyTime, way = this.way;
    this.halt();
    const turn = this.turn;
    this.tell("lost", { way, why, status });
    const on = await this.onAir();
    if (turn !== this.turn) return;
    if (on === false) { this.stop(); return; }
    if (steady) { this.timer = setTimeout(() => this.attempt(), 300); return; }
    if (++this.at < this.order.length) { this.attempt(); return; }
    this.at = 0;
    this.tell("failed", { why, status });
    this.timer = setTimeout(() => this.attempt(), 1000 * restTimes[Math.min(this.rests++, restTimes.length - 1)]);
  }

  // goesOn notes that pictures move.
  goesOn() {
    const v = this.video;
    if (this.playing || !this.engine || v.readyState < 3 || v.paused) return;
    const frames = v.getVideoPlaybackQuality?.().totalVideoFrames ?? 2;
    if (frames < 2 && v.videoWidth > 0) return;
    this.playing = true;
    this.began ||= performance.now();
    this.rests = 0;
    this.tell("playing", { way: this.way });
  }

  // look sees once a second whether it goes on, and how well.
  async look() {
    const v = this.video, now = performance.now(), turn = this.turn;
    if (!this.engine) return;
    if (v.currentTime !== this.position || v.paused || document.hidden) this.moved = now;
    this.position = v.currentTime;
    const first = this.choice === "auto" && this.at === 0 && !this.rests ? firstTime : startTime;
    if (now - this.moved > 1000 * (this.began ? stallTime : first)) { this.lost("stalled"); return; }
    const q = v.getVideoPlaybackQuality?.() || { totalVideoFrames: 0, droppedVideoFrames: 0 };
    const fps = Math.max(0, q.totalVideoFrames - this.frames) * 1000 / (now - this.counted);
    this.frames = q.totalVideoFrames;
    this.counted = now;
    const own = await this.engine.figures();
    if (turn !== this.turn) return;
    this.figures({ way: this.way, width: v.videoWidth, height: v.videoHeight, fps, dropped: q.droppedVideoFrames, playing: this.playing, ...own });
  }
}
