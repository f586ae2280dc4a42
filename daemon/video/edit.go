package video

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"gtiv/protocol"
	"gtiv/store"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Names of the visibilities.
var visibilities = map[string]int{"public": store.VideoPublic, "followers": store.VideoFollowers, "private": store.VideoPrivate}

func parseVisibility(name string) (int, error) {
	v, ok := visibilities[name]
	if !ok {
		return 0, badValue("Visibility", "badVisibility")
	}
	return v, nil
}

// VisibilityName is the name of a video's visibility.
func VisibilityName(v int) string {
	for name, n := range visibilities {
		if n == v {
			return name
		}
	}
	return ""
}

// Upload is an upload that has arrived.
type Upload struct {
	Title      string
	Tags       string // with commas or spaces between; those of the title come on top
	Visibility string // "" is public
	SizeBytes  int64
	SourceHash string
	SourceName string
	UploadID   string // of a resumable upload, "" none: what comes twice with one is one video
}

// Create checks what was written about an upload and notes the video, which is to
// be processed. Codes: CodeBadValue, CodeNoRoom, those of the filter.
func (s *Service) Create(ctx context.Context, c Caller, u Upload) (store.Video, error) {
	n, err := s.checkUpload(u)
	if err != nil {
		return store.Video{}, err
	}
	n.Owner = c.User
	v, err := s.store.CreateVideo(ctx, n)
	return v, videoError(err)
}

func (s *Service) checkUpload(u Upload) (store.NewVideo, error) {
	n := store.NewVideo{SizeBytes: u.SizeBytes, SourceHash: u.SourceHash, SourceName: u.SourceName}
	var err error
	if n.Title, err = s.checkText("Title", u.Title, 0, maxTitle); err != nil {
		return n, err
	}
	if u.Visibility != "" {
		if n.Visibility, err = parseVisibility(u.Visibility); err != nil {
			return n, err
		}
	}
	tags, err := s.tags(u.Tags)
	if err != nil {
		return n, err
	}
	n.Tags = unique(append(Hashtags(n.Title), tags...), maxTags)
	return n, nil
}

// tags reads tags that are not in a title; the filter must let them through as
// they are.
func (s *Service) tags(text string) ([]string, error) {
	list, err := parseTags(text)
	if err != nil {
		return nil, err
	}
	for _, t := range list {
		if clean, err := s.deps.Censor.Apply(t); err != nil || clean != t {
			return nil, errors.Join(err, badValue("Tags", "badTag"))
		}
	}
	return list, nil
}

// Processed notes what became of an upload. If it is shown now, those whom its
// title mentions are told.
func (s *Service) Processed(ctx context.Context, id int64, r store.VideoResult) (store.Video, error) {
	return s.published(ctx, id, func() (store.Video, error) { return s.store.FinishVideo(ctx, id, r) })
}

// SetState fails, hides, shows or queues a video, for processing and for
// moderators.
func (s *Service) SetState(ctx context.Context, id int64, state int, reason string) (store.Video, error) {
	return s.published(ctx, id, func() (store.Video, error) { return s.store.SetVideoState(ctx, id, state, reason) })
}

func (s *Service) published(ctx context.Context, id int64, change func() (store.Video, error)) (store.Video, error) {
	before, err := s.store.Video(ctx, id)
	if err != nil {
		return store.Video{}, videoError(err)
	}
	v, err := change()
	if err != nil {
		return v, videoError(err)
	}
	s.Changed()
	if before.PublishedAt != 0 || v.PublishedAt == 0 {
		return v, nil
	}
	users, err := s.mentioned(ctx, v.Title)
	if err != nil || len(users) == 0 {
		return v, err
	}
	notes, err := s.store.NotifyVideo(ctx, id, users)
	s.tell(notes...)
	return v, videoError(err)
}

// Edit is a change of a video; "" leaves a field as it is.
type Edit struct{ Title, Tags, Visibility string }

// Edit changes a video of the caller. Codes: CodeBadValue, CodeUnknown,
// CodeForbidden (somebody else's), CodeTooOften, those of the filter.
func (s *Service) Edit(ctx context.Context, c Caller, id int64, e Edit) error {
	if err := s.take(c); err != nil {
		return err
	}
	old, err := s.owned(ctx, c, id)
	if err != nil {
		return err
	}
	var change store.VideoEdit
	title := old.Title
	if e.Title != "" {
		if title, err = s.checkText("Title", e.Title, 0, maxTitle); err != nil {
			return err
		}
		change.Title = &title
	}
	if e.Visibility != "" {
		v, err := parseVisibility(e.Visibility)
		if err != nil {
			return err
		}
		change.Visibility = &v
	}
	if e.Title != "" || e.Tags != "" {
		tags, err := s.editedTags(ctx, old, title, e.Tags)
		if err != nil {
			return err
		}
		change.Tags = &tags
	}
	_, err = s.store.EditVideo(ctx, c.User, id, change)
	s.Changed()
	return videoError(err)
}

// editedTags are the tags of the new title and, if none are given, those of
// before that did not stand in the old one.
func (s *Service) editedTags(ctx context.Context, old store.Video, title, given string) ([]string, error) {
	more, err := s.tags(given)
	if err != nil {
		return nil, err
	}
	if given == "" {
		had, err := s.store.VideoTags(ctx, old.ID)
		if err != nil {
			return nil, err
		}
		var inTitle []string
		for _, t := range Hashtags(old.Title) {
			inTitle = append(inTitle, store.FoldName(t))
		}
		more = slices.DeleteFunc(had, func(t string) bool { return slices.Contains(inTitle, store.FoldName(t)) })
	}
	return unique(append(Hashtags(title), more...), maxTags), nil
}

// owned finds a video of the caller, in any state. Whoever may not see it does
// not learn that it is there.
func (s *Service) owned(ctx context.Context, c Caller, id int64) (store.Video, error) {
	v, err := s.store.Video(ctx, id)
	if err != nil {
		return v, videoError(err)
	}
	if v.Owner != c.User {
		if _, err := s.Info(ctx, c, id); err != nil {
			return v, err
		}
		return v, protocol.Errorf(protocol.CodeForbidden, "forbidden")
	}
	return v, nil
}

// Delete removes a video: its owner may, and system administrators. Codes:
// CodeUnknown, CodeForbidden, CodeTooOften.
func (s *Service) Delete(ctx context.Context, c Caller, id int64) error {
	if err := s.take(c); err != nil {
		return err
	}
	if !c.admin() {
		if _, err := s.owned(ctx, c, id); err != nil {
			return err
		}
	}
	_, err := s.store.DeleteVideo(ctx, c.User, c.admin(), id)
	if err == nil {
		s.dropped(id)
	}
	s.Changed()
	return videoError(err)
}
