"use strict";
// The words of the page, by the language of the browser.
const words = {
  en: {
    feed: "Feed", search: "Search", upload: "Upload", mine: "Mine", notices: "Notices", login: "Log in", register: "Sign up", logout: "Log out",
    username: "User name", password: "Password", invite: "Invitation code (if you have one)", haveAccount: "I have an account", noAccount: "I am new here",
    title: "Title (#tags work)", who: "Who may see it", public: "Everybody", followers: "My followers", private: "Only me", file: "Video file",
    choose: "Choose a video first.", sending: "Uploading", processing: "Processing", queued: "Waiting", ready: "Ready", failed: "Failed", review: "Waits for review",
    hidden: "Hidden by a moderator", done: "Your video is ready.", comments: "Comments", say: "Say something nice", send: "Send", reply: "Reply", replies: "replies",
    remove: "Delete", sure: "Really delete it?", share: "Share", copied: "The link was copied.", follow: "Follow", following: "Following", like: "Like", keep: "Keep",
    less: "Not for me", sound: "Sound", mute: "Mute", empty: "Nothing here yet.", more: "More", offline: "The server does not answer. Please try again.",
    users: "People", videos: "Videos", tags: "Tags", trending: "Trending", nobody: "Nothing was found.", fans: "followers", likes: "likes", edit: "Edit", save: "Save",
    cannotPlay: "This video cannot be played here.", back: "Back", profile: "Profile", liked: "Liked", collected: "Kept", gone: "(deleted)", report: "Report", why: "What is wrong with it?", thanks: "Thank you.",
  },
  zh: {
    feed: "推荐", search: "搜索", upload: "发布", mine: "我的", notices: "消息", login: "登录", register: "注册", logout: "退出登录",
    username: "用户名", password: "密码", invite: "邀请码（如果有）", haveAccount: "我已有账号", noAccount: "我是新用户",
    title: "标题（可以用 #话题）", who: "谁可以看", public: "所有人", followers: "我的粉丝", private: "仅自己", file: "视频文件",
    choose: "请先选择视频。", sending: "正在上传", processing: "正在处理", queued: "排队中", ready: "已发布", failed: "失败", review: "等待审核",
    hidden: "已被管理员隐藏", done: "你的视频已发布。", comments: "评论", say: "友善地说点什么", send: "发送", reply: "回复", replies: "条回复",
    remove: "删除", sure: "确定要删除吗？", share: "分享", copied: "链接已复制。", follow: "关注", following: "已关注", like: "喜欢", keep: "收藏",
    less: "不感兴趣", sound: "声音", mute: "静音", empty: "这里还没有内容。", more: "更多", offline: "服务器没有响应，请重试。",
    users: "用户", videos: "视频", tags: "话题", trending: "热门话题", nobody: "没有找到。", fans: "粉丝", likes: "获赞", edit: "修改", save: "保存",
    cannotPlay: "无法在这里播放这个视频。", back: "返回", profile: "主页", liked: "喜欢", collected: "收藏", gone: "（已删除）", report: "举报", why: "有什么问题？", thanks: "谢谢。",
  },
};
const language = (navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en";
const t = (key) => words[language][key] || key;
