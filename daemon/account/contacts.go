package account

import (
	"context"
	"errors"

	"gtiv/protocol"
	"gtiv/store"
)

const maxApplications = 500 // of one answer

// Contacts lists the caller's contacts.
func (s *Service) Contacts(ctx context.Context, p Principal) ([]store.Contact, error) {
	return s.store.Contacts(ctx, p.User)
}

// Applications lists the friend applications to the caller that are not older
// than 30 days.
func (s *Service) Applications(ctx context.Context, p Principal) ([]store.Application, error) {
	return s.store.Applications(ctx, p.User, s.oldestApplication(), maxApplications)
}

func (s *Service) oldestApplication() int64 { return s.now().Add(-applicationAge).UnixMilli() }

// AnswerApplication accepts or refuses a friend application to the caller. There
// must be one (wire.md 18.10). Accepting makes both contacts and tells the
// applicant; refusing is silent.
func (s *Service) AnswerApplication(ctx context.Context, p Principal, applicant int64, accept bool) error {
	if !accept {
		return unknown(DiskFull(s.store.RefuseApplication(ctx, p.User, applicant)), "noApplication")
	}
	_, err := s.store.AcceptApplication(ctx, p.User, applicant, s.oldestApplication(), store.NewMessage{
		Type:    int(protocol.TypeAccepted),
		Content: protocol.SystemText{Key: "acceptContacts"}.Encode(), System: true,
		OnCommit: s.deps.Deliver,
	})
	return unknown(err, "noApplication")
}

// DeleteContact takes peer out of the caller's list and tells peer (wire.md
// 10.2). Who is not in the list is not an error: the app may ask twice.
func (s *Service) DeleteContact(ctx context.Context, p Principal, peer int64) error {
	tell, err := s.store.DeleteContact(ctx, p.User, peer)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return DiskFull(err)
	}
	if tell {
		s.deps.Unfriended(p.User, peer)
	}
	return nil
}

// Block hides peer's messages from the caller and refuses their applications
// and calls, without telling them.
func (s *Service) Block(ctx context.Context, p Principal, peer int64) error {
	if peer == p.User {
		return protocol.Errorf(protocol.CodeBadValue, "blockSelf")
	}
	return unknown(s.store.Block(ctx, p.User, peer), "noSuchUser")
}

// Unblock ends it.
func (s *Service) Unblock(ctx context.Context, p Principal, peer int64) error {
	return DiskFull(s.store.Unblock(ctx, p.User, peer))
}

// Blocked lists whom the caller blocked.
func (s *Service) Blocked(ctx context.Context, p Principal) ([]store.Account, error) {
	return s.store.Blocked(ctx, p.User)
}
