// The panel with the comments on a video.
import { t } from "./text.js";
import { call, el, face, needLogin, openPanel, pages, session, when } from "../common/base.js";

// showComments opens it. changed is told how many comments there are now.
export function showComments(v, changed) {
  const list = el("div", { className: "list" });
  const none = el("p", { className: "dim" }, t("empty"));
  const input = el("input", { maxLength: 500, placeholder: t("say"), required: true, "aria-label": t("say"), autocomplete: "off", enterKeyHint: "send" });
  const answering = el("button", { type: "button", className: "plain dim answering", hidden: true, onclick: () => answer(null, null) });
  let target = null; // what is answered: { comment, thread }

  const answer = (comment, thread) => {
    target = comment && { comment, thread };
    answering.hidden = !comment;
    answering.textContent = comment ? t("replyTo") + " @" + comment.Nickname + " ✕" : "";
    input.focus();
  };
  const count = (by) => { v.CommentNum = Math.max(0, (v.CommentNum || 0) + by); changed(v.CommentNum); };

  // line is one comment; thread is the one whose replies it is among, or itself.
  const line = (c, thread) => {
    const box = el("div", { className: "comment" });
    const draw = () => {
      const tools = el("div", { className: "tools" });
      if (!c.Gone) {
        const like = el("button", { type: "button", className: "plain", "aria-pressed": String(c.IsSupport) }, t("like") + " " + c.SupportNum);
        like.onclick = async () => {
          if (needLogin() || like.disabled) return;
          like.disabled = true;
          const done = await call("POST", "/video/comment-like", { CommentId: c.CommentId, Action: c.IsSupport ? 0 : 1 });
          if (done) { c.IsSupport = !c.IsSupport; c.SupportNum += c.IsSupport ? 1 : -1; }
          draw();
        };
        tools.append(like, el("button", { type: "button", className: "plain", onclick: () => { if (!needLogin()) answer(c, thread || own); } }, t("reply")));
        if (session && (c.UserId === session.user || v.UserId === session.user)) {
          tools.append(el("button", { type: "button", className: "plain", onclick: async () => {
            if (!confirm(t("sure")) || !await call("POST", "/video/comment-delete", { CommentId: c.CommentId })) return;
            count(-1);
            if (target?.comment === c) answer(null, null);
            if (!thread && c.ReplyNum > 0) { c.Gone = true; draw(); return; }
            box.remove();
            thread?.left();
          } }, t("remove")));
        }
      }
      box.replaceChildren(face(c.Gone ? "" : c.Nickname, c.UserId), el("div", { className: "grow" },
        c.Gone ? null : el("a", { className: "dim", href: "#/u/" + c.UserId }, c.Nickname + (c.ReplyTo ? " → @" + c.ReplyTo : "")),
        c.Gone ? null : el("span", { className: "dim" }, " · " + when(c.CreateTime)),
        el("p", { className: c.Gone ? "dim" : "" }, c.Gone ? t("gone") : c.Content), tools, own?.open));
    };
    // A comment has its replies below it, folded until somebody wants them.
    const own = thread ? null : threadOf(c);
    draw();
    return own ? el("div", {}, box, own.replies) : box;
  };

  const threadOf = (c) => {
    const th = { replies: el("div", { className: "replies" }), open: el("button", { type: "button", className: "plain dim" }) };
    const label = () => { th.open.textContent = c.ReplyNum + " " + t("replies"); th.open.hidden = c.ReplyNum < 1 || th.replies.children.length > 0; };
    th.load = async () => {
      let cursor = 0;
      th.replies.replaceChildren();
      await pages(th.replies, async () => {
        const rep = await call("GET", "/video/comments", { VideoId: v.Id, CommentId: c.CommentId, Cursor: cursor });
        if (!rep) return false;
        cursor = rep.Next;
        th.replies.append(...rep.List.map((r) => line(r, th)));
        return cursor > 0;
      });
      label();
    };
    th.open.onclick = th.load;
    th.left = () => { c.ReplyNum--; label(); };
    th.joined = async () => { c.ReplyNum++; await th.load(); };
    label();
    return th;
  };

  const send = el("button", { className: "main" }, t("send"));
  const write = el("form", { className: "write", onsubmit: async (e) => {
    e.preventDefault();
    if (needLogin() || send.disabled) return;
    send.disabled = true;
    const to = target;
    const rep = await call("POST", "/video/comment", { VideoId: v.Id, Content: input.value, ReplyTo: to ? to.comment.CommentId : 0 });
    send.disabled = false;
    if (!rep) return;
    input.value = "";
    answer(null, null);
    count(1);
    if (to) { await to.thread.joined(); return; }
    none.remove();
    list.prepend(line({
      CommentId: rep.CommentId, Content: rep.Content, CreateTime: rep.CreateTime, UserId: session.user, Nickname: session.name,
      SupportNum: 0, ReplyNum: 0, IsSupport: false, ReplyTo: "", Gone: false,
    }, null));
    list.scrollTop = 0;
  } }, input, send);

  openPanel(t("comments"), list, answering, write);
  let cursor = 0;
  pages(list, async () => {
    const rep = await call("GET", "/video/comments", { VideoId: v.Id, Cursor: cursor });
    if (!rep) return false;
    cursor = rep.Next;
    list.append(...rep.List.map((c) => line(c, null)));
    if (!list.children.length) list.append(none);
    return cursor > 0;
  });
}
