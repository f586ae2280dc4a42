// The words of all pages, by the language of the browser. A page adds its own.
const words = {
  en: {
    cancel: "Cancel", close: "Close", copied: "The link was copied.", empty: "Nothing here yet.", follow: "Follow", following: "Following",
    haveAccount: "I have an account", invite: "Invitation code (if you have one)", link: "Link", live: "Live", login: "Log in", logout: "Log out", main: "Main", more: "More",
    noAccount: "I am new here", offline: "The server does not answer. Please try again.", password: "Password", register: "Sign up", remove: "Delete",
    report: "Report", retry: "Try again", save: "Save", secondFactor: "With a second factor, put its six digits behind the password.", send: "Send",
    share: "Share", sure: "Really delete it?", thanks: "Thank you. The moderators will look at it.", title: "Title", username: "User name",
    why: "What is wrong with it?",
  },
  zh: {
    cancel: "取消", close: "关闭", copied: "链接已复制。", empty: "这里还没有内容。", follow: "关注", following: "已关注",
    haveAccount: "我已有账号", invite: "邀请码（如果有）", link: "链接", live: "直播", login: "登录", logout: "退出登录", main: "主导航", more: "更多",
    noAccount: "我是新用户", offline: "服务器没有响应，请重试。", password: "密码", register: "注册", remove: "删除",
    report: "举报", retry: "重试", save: "保存", secondFactor: "如果开启了两步验证，请在密码后面加上六位数字。", send: "发送",
    share: "分享", sure: "确定要删除吗？", thanks: "谢谢，管理员会查看。", title: "标题", username: "用户名",
    why: "有什么问题？",
  },
};

export const language = (navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en";
export const t = (key) => words[language][key] || key;

// learn adds the words of a page.
export function learn(more) {
  for (const l of Object.keys(words)) Object.assign(words[l], more[l]);
}
