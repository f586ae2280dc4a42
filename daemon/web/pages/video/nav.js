// The bar at the bottom, and the way to the login and back.
import { t } from "./text.js";
import { api, call, el, page, quiet, session } from "../common/base.js";

let returnTo = "#/feed"; // after logging in
export const afterLogin = () => { location.hash = returnTo; returnTo = "#/feed"; };

page.changed = () => { drawNav(); };
page.login = () => {
  if (!/^#\/(login|register)/.test(location.hash)) returnTo = location.hash || "#/feed";
  location.hash = "#/login";
};

let drawn = 0;
export async function drawNav() {
  const here = location.hash.replace(/^#\//, "").split("/")[0] || "feed";
  const item = (name) => el("a", { href: "#/" + name, ...(here === name ? { "aria-current": "page" } : {}) }, t(name));
  const notices = item("notices");
  const nav = document.getElementById("nav"), turn = ++drawn;
  nav.setAttribute("aria-label", t("main"));
  nav.replaceChildren(item("feed"), el("a", { href: api("/live/#/now") }, t("live")), item("search"), item("upload"), ...(session ? [notices, item("mine")] : [item("login")]));
  if (!session) return;
  const rep = await call("GET", "/notice/list", {}, quiet);
  if (rep && rep.Unread > 0 && turn === drawn) {
    notices.append(el("b", { title: t("unread") }, rep.Unread > 99 ? "99+" : String(rep.Unread)));
  }
}
