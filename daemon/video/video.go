// Package video has the rules of short videos. So far it knows the sample that
// ships in the binary, which keeps the app from waiting for a first video for
// ever (wire.md K11); uploads come later.
//
// It starts no goroutines and holds no state.
package video

import (
	"context"
	"fmt"
	"io/fs"

	"gtiv/daemon/video/sample"
	"gtiv/protocol"
	"gtiv/store"
)

// SampleID is the id of the built-in video.
const SampleID = 1

// Clip is a short video as a viewer sees it.
type Clip struct {
	ID            int64
	Owner         store.Account
	Title         string
	Key           string // directory of its files: "2026/<sha1>"
	Width, Height int
}

// Service has the rules. Make it with New.
type Service struct{ store *store.Store }

// New makes the service.
func New(s *store.Store) *Service { return &Service{store: s} }

// Files are the built-in files by the directory they are served under.
func Files() map[string]fs.FS { return map[string]fs.FS{sample.Key: sample.FS()} }

func (s *Service) sample(ctx context.Context) (Clip, error) {
	owner, err := s.store.Account(ctx, store.BuiltInAccount)
	if err != nil {
		return Clip{}, fmt.Errorf("owner of the sample video: %w", err)
	}
	return Clip{
		ID: SampleID, Owner: owner, Title: sample.Title, Key: sample.Key,
		Width: sample.Width, Height: sample.Height,
	}, nil
}

// Home is what a viewer is shown first: never nothing.
func (s *Service) Home(ctx context.Context, _ int64) ([]Clip, error) {
	c, err := s.sample(ctx)
	if err != nil {
		return nil, err
	}
	return []Clip{c}, nil
}

// Info finds a video. Code: CodeUnknown.
func (s *Service) Info(ctx context.Context, _, id int64) (Clip, error) {
	if id != SampleID {
		return Clip{}, protocol.Errorf(protocol.CodeUnknown, "noSuchVideo")
	}
	return s.sample(ctx)
}

// Created is how many videos an account made: those that its counter knows, and
// the sample, which is in no table, of the built-in account.
func Created(a store.Account) int64 {
	if a.ID == store.BuiltInAccount {
		return a.CreateVideoNum + 1
	}
	return a.CreateVideoNum
}

// By lists the videos of a user, newest first; page counts from 1.
func (s *Service) By(ctx context.Context, _, user int64, page int) ([]Clip, error) {
	if user != store.BuiltInAccount || page > 1 {
		return nil, nil
	}
	return s.Home(ctx, 0)
}
