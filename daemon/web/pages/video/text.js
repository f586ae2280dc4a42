// The words of the page for short videos.
import { learn } from "../common/text.js";

export { language, t } from "../common/text.js";

learn({
  en: {
    about: "Title (#tags work)", cannotPlay: "This video cannot be played here.", choose: "Choose a video first.", collected: "Kept",
    comments: "Comments", done: "Your video is ready.", edit: "Edit", failed: "Failed", fans: "followers", feed: "Feed", file: "Video file",
    followers: "My followers", gone: "(deleted)", hidden: "Hidden by a moderator", keep: "Keep", less: "Not for me", like: "Like", liked: "Liked",
    likes: "likes", mine: "Mine", mute: "Mute", nickname: "Name", nobody: "Nothing was found.", notices: "Notices",
    onlyUsers: "Log in to search.", private: "Only me", processing: "Processing", profile: "Profile", public: "Everybody", queued: "Waiting",
    ready: "Ready", refused: "The upload broke off: the connection was lost, or the file is too large.", rename: "Change name", replies: "replies",
    reply: "Reply", replyTo: "Reply to", review: "Waits for review", say: "Say something nice", search: "Search", sending: "Uploading",
    sound: "Sound", tags: "Tags", trending: "Trending", unread: "unread", upload: "Upload", users: "People", videos: "Videos",
    visibility: "Who may see it",
  },
  zh: {
    about: "标题（可以用 #话题）", cannotPlay: "无法在这里播放这个视频。", choose: "请先选择视频。", collected: "收藏", comments: "评论", done: "你的视频已发布。", edit: "修改", failed: "失败",
    fans: "粉丝", feed: "推荐", file: "视频文件", followers: "我的粉丝", gone: "（已删除）", hidden: "已被管理员隐藏", keep: "收藏", less: "不感兴趣", like: "喜欢", liked: "喜欢",
    likes: "获赞", mine: "我的", mute: "静音", nickname: "昵称", nobody: "没有找到。", notices: "消息", onlyUsers: "登录后才能搜索。", private: "仅自己",
    processing: "正在处理", profile: "主页", public: "所有人", queued: "排队中", ready: "已发布", refused: "上传中断：连接断开，或者文件太大。", rename: "修改昵称", replies: "条回复",
    reply: "回复", replyTo: "回复", review: "等待审核", say: "友善地说点什么", search: "搜索", sending: "正在上传", sound: "声音", tags: "话题", trending: "热门话题",
    unread: "未读", upload: "发布", users: "用户", videos: "视频", visibility: "谁可以看",
  },
});
