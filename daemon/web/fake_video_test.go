package web_test

import (
	"context"

	"gtiv/daemon/video"
	"gtiv/daemon/video/sample"
	"gtiv/store"
)

// fakeVideo is apart: Info and Search have other forms there.
type fakeVideo struct{ *fakes }

func clip() video.Clip {
	return video.Clip{Account: person(10000), Video: store.Video{
		ID: 1, Owner: 10000, Title: "t", Key: sample.Key, Width: 540, Height: 960, SupportNum: 3, CollectNum: 2, ShareNum: 1,
	}}
}

func (f fakeVideo) clips(name string) ([]video.Clip, error) {
	if f.private {
		c := clip()
		c.Visibility = store.VideoPrivate
		return []video.Clip{c}, f.call(name)
	}
	return []video.Clip{clip()}, f.call(name)
}

func (f fakeVideo) Home(context.Context, video.Caller) ([]video.Clip, error) { return f.clips("Home") }

func (f fakeVideo) Info(context.Context, video.Caller, int64) (video.Clip, error) {
	list, err := f.clips("Info")
	return list[0], err
}

func (f fakeVideo) By(_ context.Context, _ video.Caller, user int64, page int) ([]video.Clip, error) {
	if user != 10000 || page > 1 {
		return nil, f.call("By")
	}
	return f.clips("By")
}

func (f fakeVideo) Supported(context.Context, video.Caller, int64, int) ([]video.Clip, error) {
	return f.clips("Supported")
}

func (f fakeVideo) Collected(context.Context, video.Caller, int64, int) ([]video.Clip, error) {
	return f.clips("Collected")
}

func (f fakeVideo) Created(_ context.Context, _ video.Caller, a store.Account) (int64, error) {
	return a.CreateVideoNum, f.call("Created")
}

// act notes what is done to a video.
func (f fakeVideo) act(name string, id int64, on bool) error {
	f.acted, f.on = id, on
	return f.call(name)
}

func (f fakeVideo) Support(_ context.Context, _ video.Caller, id int64, on bool) error {
	return f.act("Support", id, on)
}

func (f fakeVideo) Collect(_ context.Context, _ video.Caller, id int64, on bool) error {
	return f.act("Collect", id, on)
}

func (f fakeVideo) Share(_ context.Context, _ video.Caller, id int64) error {
	return f.act("Share", id, true)
}

func (f fakeVideo) Played(_ context.Context, _ video.Caller, id, _ int64) error {
	return f.act("Played", id, true)
}

func (f fakeVideo) NotInterested(_ context.Context, _ video.Caller, id int64) error {
	return f.act("NotInterested", id, true)
}

func (f fakeVideo) ToggleFollow(_ context.Context, _ video.Caller, user int64) (bool, error) {
	return true, f.act("ToggleFollow", user, true)
}

func (f fakeVideo) people(name string) ([]store.Person, error) {
	return []store.Person{{Account: person(peer), At: 1700000000123}}, f.call(name)
}

func (f fakeVideo) Follows(context.Context, video.Caller) ([]store.Person, error) {
	return f.people("Follows")
}

func (f fakeVideo) Fans(context.Context, video.Caller) ([]store.Person, error) {
	return f.people("Fans")
}

func (f fakeVideo) Supporters(context.Context, video.Caller) ([]store.Person, error) {
	return f.people("Supporters")
}

func (f fakeVideo) Edit(_ context.Context, _ video.Caller, id int64, _ video.Edit) error {
	return f.act("Edit", id, true)
}

func (f fakeVideo) Delete(_ context.Context, _ video.Caller, id int64) error {
	return f.act("Delete", id, true)
}

func (f fakeVideo) Comment(_ context.Context, _ video.Caller, id int64, content string, _ int64) (store.Comment, error) {
	return store.Comment{ID: 5, Video: id, Content: content, CreatedAt: 1700000000123}, f.act("Comment", id, true)
}

func (f fakeVideo) Comments(context.Context, video.Caller, int64, int64, int64) ([]store.CommentShown, int64, error) {
	return []store.CommentShown{
		{Comment: store.Comment{ID: 6, User: peer, Content: "hi", LikeNum: 2}, Account: person(peer)},
		{Comment: store.Comment{ID: 5, User: peer, Content: "never shown", Gone: true, ReplyNum: 1}, Account: person(peer)},
	}, 5, f.call("Comments")
}

func (f fakeVideo) DeleteComment(_ context.Context, _ video.Caller, id int64) error {
	return f.act("DeleteComment", id, true)
}

func (f fakeVideo) LikeComment(_ context.Context, _ video.Caller, id int64, on bool) error {
	return f.act("LikeComment", id, on)
}

func (f fakeVideo) Search(_ context.Context, _ video.Caller, kind, _ string, _ int64) (video.Found, error) {
	return video.Found{Users: []store.Account{person(peer)}}, f.call("Search " + kind)
}

func (f fakeVideo) Tagged(context.Context, video.Caller, string, int64) ([]video.Clip, int64, error) {
	list, err := f.clips("Tagged")
	return list, 1, err
}

func (f fakeVideo) Trending(context.Context) ([]store.Tag, error) {
	return []store.Tag{{ID: 1, Name: "cats", Videos: 3}}, f.call("Trending")
}

func (f fakeVideo) Notices(context.Context, video.Caller, int64) ([]store.NoticeShown, int64, int64, error) {
	return []store.NoticeShown{{
		Notice: store.Notice{ID: 9, Kind: store.NoticeLike, CreatedAt: 1700000000123}, Account: person(peer), Video: clip().Video,
	}}, 4, 9, f.call("Notices")
}

func (f fakeVideo) ReadNotices(_ context.Context, _ video.Caller, upTo int64) error {
	return f.act("ReadNotices", upTo, true)
}
