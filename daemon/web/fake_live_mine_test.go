package web_test

import (
	"context"

	"gtiv/daemon/live"
	"gtiv/store"
)

func (f fakeLive) Own(context.Context, live.Caller) (store.LiveRoom, error) {
	return store.LiveRoom{ID: 1000000001, Title: "hello"}, nil
}
