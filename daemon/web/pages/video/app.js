// One page for short videos: this file decides which part of it is shown, by the
// part of the address behind #.
import { language, t } from "./text.js";
import { closePanel } from "../common/base.js";
import { drawNav } from "./nav.js";
import { feedPage, loginPage, minePage, noticesPage, searchPage, userPage, videoPage } from "./pages.js";
import { uploadPage } from "./upload.js";

const routes = {
  feed: feedPage, v: videoPage, u: userPage, tag: searchPage, search: (view) => searchPage(view, ""), upload: uploadPage, mine: minePage,
  notices: noticesPage, login: (view) => loginPage(view, false), register: (view) => loginPage(view, true),
};

// What is on screen. What goes on in the background asks whether it is still alive.
let view = { leave() {} };

function makeView() {
  const leaving = [];
  const v = { box: document.createElement("div"), alive: true, onleave: (f) => leaving.push(f), leave() { v.alive = false; leaving.forEach((f) => f()); } };
  v.box.className = "view";
  return v;
}

function decode(part) {
  try { return decodeURIComponent(part || ""); } catch { return ""; }
}

function show() {
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  view.leave();
  closePanel();
  view = makeView();
  const main = document.getElementById("view");
  main.replaceChildren(view.box);
  main.scrollTop = 0;
  main.focus({ preventScroll: true });
  document.title = Object.hasOwn(routes, name) && t(name) !== name ? t(name) + " · gtiv" : "gtiv";
  (Object.hasOwn(routes, name) ? routes[name] : feedPage)(view, ...rest.map(decode));
  drawNav();
}

document.documentElement.lang = language;
addEventListener("hashchange", show);
show();
