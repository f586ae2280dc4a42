// Package live has the rules of live rooms. So far it knows one room of the
// built-in account, which is never on air and shows the app's list that the
// server is there; streaming comes later.
//
// It starts no goroutines and holds no state.
package live

import (
	"context"
	"fmt"

	"gtiv/daemon/video/sample"
	"gtiv/store"
)

// SampleRoom is the id of the built-in room. Rooms start behind it.
const SampleRoom = 1000000000

// Room is a live room as a viewer sees it.
type Room struct {
	ID    int64
	Owner store.Account
	Title string
	Cover string // key of the cover file, relative to the endpoint
	OnAir bool
}

// Service has the rules. Make it with New.
type Service struct{ store *store.Store }

// New makes the service.
func New(s *store.Store) *Service { return &Service{store: s} }

// List is the list of live rooms, those on air first.
func (s *Service) List(ctx context.Context, _ int64) ([]Room, error) {
	owner, err := s.store.Account(ctx, store.BuiltInAccount)
	if err != nil {
		return nil, fmt.Errorf("owner of the sample room: %w", err)
	}
	return []Room{{ID: SampleRoom, Owner: owner, Title: sample.Title, Cover: sample.Key + "/" + sample.Cover}}, nil
}
