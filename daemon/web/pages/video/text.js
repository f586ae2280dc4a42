// The words of the page, by the language of the browser.
const words = {
  en: {
    about: "Title (#tags work)", cancel: "Cancel", cannotPlay: "This video cannot be played here.", choose: "Choose a video first.",
    close: "Close", collected: "Kept", comments: "Comments", copied: "The link was copied.", done: "Your video is ready.",
    edit: "Edit", empty: "Nothing here yet.", failed: "Failed", fans: "followers", feed: "Feed", file: "Video file", follow: "Follow",
    followers: "My followers", following: "Following", gone: "(deleted)", haveAccount: "I have an account", hidden: "Hidden by a moderator",
    invite: "Invitation code (if you have one)", keep: "Keep", less: "Not for me", like: "Like", liked: "Liked", likes: "likes", link: "Link",
    login: "Log in", logout: "Log out", main: "Main", mine: "Mine", more: "More", mute: "Mute", noAccount: "I am new here", nickname: "Name", nobody: "Nothing was found.",
    notices: "Notices", offline: "The server does not answer. Please try again.", onlyUsers: "Log in to search.", password: "Password",
    private: "Only me", processing: "Processing", profile: "Profile", public: "Everybody", queued: "Waiting", ready: "Ready",
    refused: "The upload broke off: the connection was lost, or the file is too large.", register: "Sign up", remove: "Delete", rename: "Change name", replies: "replies",
    reply: "Reply", replyTo: "Reply to", report: "Report", retry: "Try again", review: "Waits for review", save: "Save", say: "Say something nice",
    search: "Search", secondFactor: "With a second factor, put its six digits behind the password.", send: "Send", sending: "Uploading", share: "Share",
    sound: "Sound", sure: "Really delete it?", tags: "Tags", thanks: "Thank you. The moderators will look at it.", title: "Title", trending: "Trending",
    unread: "unread", upload: "Upload", username: "User name", users: "People", videos: "Videos", visibility: "Who may see it", why: "What is wrong with it?",
  },
  zh: {
    about: "标题（可以用 #话题）", cancel: "取消", cannotPlay: "无法在这里播放这个视频。", choose: "请先选择视频。",
    close: "关闭", collected: "收藏", comments: "评论", copied: "链接已复制。", done: "你的视频已发布。",
    edit: "修改", empty: "这里还没有内容。", failed: "失败", fans: "粉丝", feed: "推荐", file: "视频文件", follow: "关注",
    followers: "我的粉丝", following: "已关注", gone: "（已删除）", haveAccount: "我已有账号", hidden: "已被管理员隐藏",
    invite: "邀请码（如果有）", keep: "收藏", less: "不感兴趣", like: "喜欢", liked: "喜欢", likes: "获赞", link: "链接",
    login: "登录", logout: "退出登录", main: "主导航", mine: "我的", more: "更多", mute: "静音", noAccount: "我是新用户", nickname: "昵称", nobody: "没有找到。",
    notices: "消息", offline: "服务器没有响应，请重试。", onlyUsers: "登录后才能搜索。", password: "密码",
    private: "仅自己", processing: "正在处理", profile: "主页", public: "所有人", queued: "排队中", ready: "已发布",
    refused: "上传中断：连接断开，或者文件太大。", register: "注册", remove: "删除", rename: "修改昵称", replies: "条回复",
    reply: "回复", replyTo: "回复", report: "举报", retry: "重试", review: "等待审核", save: "保存", say: "友善地说点什么",
    search: "搜索", secondFactor: "如果开启了两步验证，请在密码后面加上六位数字。", send: "发送", sending: "正在上传", share: "分享",
    sound: "声音", sure: "确定要删除吗？", tags: "话题", thanks: "谢谢，管理员会查看。", title: "标题", trending: "热门话题",
    unread: "未读", upload: "发布", username: "用户名", users: "用户", videos: "视频", visibility: "谁可以看", why: "有什么问题？",
  },
};

export const language = (navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en";
export const t = (key) => words[language][key] || key;
