// The words of the pages for live rooms.
import { learn } from "../../common/text.js";

export { language, t } from "../../common/text.js";

learn({
  en: {
    auto: "Automatic", behind: "seconds behind", cannotPlay: "The stream cannot be played right now. Trying again …", chat: "Chat",
    chatClosed: "The chat is closed.", connecting: "Connecting …", dropped: "dropped", followersOnly: "Only followers may watch.", full: "Full screen",
    full503: "There are too many viewers. Trying again …", heart: "Give a heart", host: "Host", how: "How it is played",
    letWrite: "Let write again", linkOnly: "Only who has the link may watch.", live: "Live", loginToWrite: "Log in to write", mine: "My videos", moderator: "Moderator",
    mute: "Mute", mute10: "Mute for 10 minutes", mute60: "Mute for an hour", muteAlways: "Mute for good", newer: "↓ New messages",
    notThisWay: "did not work, so the next way is tried", oldBrowser: "This browser may be too old.", onAir: "LIVE", others: "Other live rooms",
    pause: "Pause", play: "Play", quality: "Quality", quiet: "Nobody has said anything yet.", sayHere: "Say something", small: "Picture in picture",
    studio: "Studio", toLive: "To what is newest", touchForSound: "Sound on", touchToPlay: "Your browser wants you to start the video.",
    unmute: "Sound on", video: "Video", videos: "Videos", viewers: "viewers", volume: "Volume",
    waiting: "Off air. It starts here by itself.", way_auto: "Automatic", way_flv: "HTTP-FLV", way_ll: "LL-HLS", way_ts: "HLS", way_whep: "WebRTC",
  },
  zh: {
    auto: "自动", behind: "秒延迟", cannotPlay: "暂时无法播放，正在重试……", chat: "聊天",
    chatClosed: "聊天已关闭。", connecting: "正在连接……", dropped: "丢帧", followersOnly: "仅粉丝可观看。", full: "全屏",
    full503: "观众太多，正在重试……", heart: "点赞", host: "主播", how: "播放方式",
    letWrite: "解除禁言", linkOnly: "仅持有链接者可观看。", live: "直播", loginToWrite: "登录后发言", mine: "我的视频", moderator: "管理员",
    mute: "静音", mute10: "禁言 10 分钟", mute60: "禁言 1 小时", muteAlways: "永久禁言", newer: "↓ 新消息",
    notThisWay: "无法播放，正在尝试下一种方式", oldBrowser: "浏览器可能太旧。", onAir: "直播中", others: "其他直播间",
    pause: "暂停", play: "播放", quality: "画质", quiet: "还没有人说话。", sayHere: "说点什么", small: "画中画",
    studio: "直播中心", toLive: "回到最新", touchForSound: "打开声音", touchToPlay: "浏览器需要你点一下才能播放。",
    unmute: "打开声音", video: "视频", videos: "短视频", viewers: "位观众", volume: "音量",
    waiting: "尚未开播，开播后会自动播放。", way_auto: "自动", way_flv: "HTTP-FLV", way_ll: "LL-HLS", way_ts: "HLS", way_whep: "WebRTC",
  },
});
