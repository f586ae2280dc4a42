package media_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"gtiv/media"
)

// A stream whose publisher left waits for a while; readers notice nothing but a pause.
func TestAStreamWaitsForItsPublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := 0
		hub := media.NewHub(nil, func(*media.Stream) { ended++ }, nil)
		hub.SetTimes(3*time.Second, 5*time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- hub.Run(ctx) }()
		push := func(p *media.Publisher, kind media.Kind, body []byte, raw uint32) {
			t.Helper()
			m, err := media.ParseMessage(kind, body)
			if err == nil {
				err = p.Push(m, raw)
			}
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		first, _ := hub.Publish(t.Context(), "room")
		push(first, media.Video, avcHeader, 0)
		push(first, media.Video, picture(true, 10), 7000)
		push(first, media.Video, picture(false, 10), 7040)
		s := hub.Stream("room")
		r := s.Read()
		defer r.Close()
		last := int64(-1)
		read := func(n int) {
			t.Helper()
			for range n {
				round, _, err := r.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range round.Messages {
					if m.Time < last {
						t.Errorf("time went back from %d to %d", last, m.Time)
					}
					last = m.Time
				}
			}
		}
		read(2)
		first.Close()
		first.Close() // twice is as once
		time.Sleep(4 * time.Second)
		if hub.Stream("room") != s || ended != 0 {
			t.Fatal("it did not wait")
		}
		second, _ := hub.Publish(t.Context(), "room")
		if second.Stream() != s {
			t.Fatal("another stream began")
		}
		push(second, media.Video, avcHeader, 0)
		push(second, media.Video, picture(true, 10), 0)
		read(2)
		if last < 40 || last > 2000 {
			t.Errorf("it goes on at %d", last)
		}
		first.Close() // who left is not heard any more
		for range 4 {
			time.Sleep(2 * time.Second)
			push(second, media.Video, picture(true, 10), 2000)
			read(1)
		}
		if hub.Stream("room") != s {
			t.Fatal("it ended although it is published")
		}
		second.Close()
		time.Sleep(7 * time.Second)
		if hub.Stream("room") != nil || ended != 1 {
			t.Fatalf("it did not end: %d", ended)
		}
		if _, _, err := r.Next(t.Context()); !errors.Is(err, media.ErrEnded) {
			t.Error(err)
		}

		// Silence ends it at once, when it was told to be so long.
		silent, gone := hub.Publish(t.Context(), "room")
		push(silent, media.Video, avcHeader, 0)
		time.Sleep(2 * time.Second)
		if hub.Stream("room") == nil {
			t.Error("it ended too soon")
		}
		time.Sleep(3 * time.Second)
		if hub.Stream("room") != nil || gone.Err() == nil || ended != 2 {
			t.Error("silence did not end it", ended)
		}

		// Ended on purpose, it does not wait, also when nobody publishes it.
		third, _ := hub.Publish(t.Context(), "room")
		third.Close()
		if !hub.Kick("room") || hub.Stream("room") != nil || ended != 3 {
			t.Error("it could not be ended")
		}
		fourth, _ := hub.Publish(t.Context(), "room")
		fourth.Close()
		cancel()
		if err := <-done; err != nil || hub.Stream("room") != nil || ended != 4 {
			t.Error("it is left", err, ended)
		}
	})
}
