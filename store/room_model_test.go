package store_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"gtiv/store"
)

// Random operations on a real database against a model that is simple enough to
// be right: who belongs to which room in which role, who is muted, and how many
// messages there are.

const (
	modelUsers = 9
	modelLimit = 6
	modelOwned = 3
)

type roomModel struct {
	roles      map[int64]int
	joined     map[int64]int // order of joining
	muted      map[int64]bool
	bySite     map[int64]bool // of muted
	was        map[int64]former
	mutedAll   bool
	open       bool
	approval   bool
	dissolved  bool
	waiting    map[int64]bool
	link       string
	linkUses   int
	messages   int
	lastMember []int64 // of the message committed last
}

// former is what a room remembers of somebody who left.
type former struct{ muted, bySite, removed bool }

type membership struct {
	t        *testing.T
	s        *store.Store
	r        *rand.Rand
	users    []int64
	contacts map[[2]int64]bool
	rooms    map[int64]*roomModel
	ids      []int64
	joins    int
	codes    int
}

func TestMembershipAgainstAModel(t *testing.T) {
	seeds := 12
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s, _ := openClock(t)
			m := &membership{t: t, s: s, r: rand.New(rand.NewPCG(uint64(seed), 7)), contacts: map[[2]int64]bool{}, rooms: map[int64]*roomModel{}}
			m.populate()
			for range 400 {
				m.step()
			}
			m.compare()
		})
	}
}

func (m *membership) populate() {
	for i := range modelUsers {
		a, err := m.s.CreateAccount(m.t.Context(), store.NewAccount{Username: fmt.Sprintf("u%d", i), Nickname: fmt.Sprintf("u%d", i), Role: store.RoleUser})
		if err != nil {
			m.t.Fatal(err)
		}
		m.users = append(m.users, a.ID)
	}
	for i, a := range m.users {
		for _, b := range m.users[i+1:] {
			if m.r.IntN(4) == 0 {
				continue
			}
			if _, err := m.s.Apply(m.t.Context(), a, b, ""); err != nil {
				m.t.Fatal(err)
			}
			if _, err := m.s.AcceptApplication(m.t.Context(), b, a, 0, store.NewMessage{Type: 8}); err != nil {
				m.t.Fatal(err)
			}
			m.contacts[[2]int64{a, b}], m.contacts[[2]int64{b, a}] = true, true
		}
	}
}

func (m *membership) someone() int64 { return m.users[m.r.IntN(len(m.users))] }

// someRoom is one of the rooms, or now and then one that does not exist.
func (m *membership) someRoom() (int64, *roomModel) {
	if len(m.ids) == 0 || m.r.IntN(40) == 0 {
		return store.FirstRoom + 5000, nil
	}
	id := m.ids[m.r.IntN(len(m.ids))]
	return id, m.rooms[id]
}

func (m *membership) some() []int64 {
	list := slices.Clone(m.users)
	m.r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	list = list[:1+m.r.IntN(4)]
	if m.r.IntN(5) == 0 {
		list = append(list, list[0]) // twice
	}
	return list
}

func (m *membership) step() {
	steps := []func(){m.create, m.invite, m.invite, m.quit, m.removeOne, m.mute, m.admins, m.transfer, m.send, m.send, m.send, m.set, m.makeLink, m.joinLink, m.joinLink, m.answer, m.bySite}
	switch m.r.IntN(60) {
	case 0, 1, 2, 3:
		m.dissolve()
		return
	case 4:
		m.deleteOne()
		return
	}
	steps[m.r.IntN(len(steps))]()
}

// want fails the test when an operation did not end as the model says.
func (m *membership) want(what string, err, want error) bool {
	m.t.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		m.t.Fatalf("%s: %v, the model says %v", what, err, want)
	}
	return want == nil
}

func (m *membership) note(id int64, say ...string) store.NewRoomMessage {
	return store.NewRoomMessage{Type: 20, Content: fmt.Sprint(say), OnCommit: func(msg store.Message) {
		model := m.rooms[msg.Room]
		if model == nil {
			model = m.fresh(msg.Room)
		}
		model.messages++
		if int(msg.Seq) != model.messages {
			m.t.Errorf("message %d of room %d has number %d", model.messages, msg.Room, msg.Seq)
		}
		model.lastMember = msg.News.Members.IDs()
	}}
}

func (m *membership) fresh(id int64) *roomModel {
	r := &roomModel{roles: map[int64]int{}, joined: map[int64]int{}, muted: map[int64]bool{}, bySite: map[int64]bool{}, was: map[int64]former{}, waiting: map[int64]bool{}}
	m.rooms[id] = r
	m.ids = append(m.ids, id)
	return r
}

func (m *membership) add(r *roomModel, users ...int64) {
	slices.Sort(users)
	for _, u := range slices.Compact(users) {
		m.joins++
		r.roles[u], r.joined[u] = store.RoleMember, m.joins
		delete(r.waiting, u)
		if r.was[u].muted {
			r.muted[u], r.bySite[u] = true, r.was[u].bySite
		}
		delete(r.was, u)
	}
}

func (r *roomModel) drop(u int64, removed bool) {
	r.was[u] = former{r.muted[u], r.bySite[u], removed}
	delete(r.roles, u)
	delete(r.bySite, u)
	delete(r.joined, u)
	delete(r.muted, u)
}

// promote gives somebody a role that ends a mute, if the site did not make it.
func (r *roomModel) promote(u int64, role int) {
	r.roles[u] = role
	if !r.bySite[u] {
		delete(r.muted, u)
	}
}

// silent says who may not write.
func (r *roomModel) silent(u int64) bool {
	return r.roles[u] < store.RoleRoomAdmin && (r.mutedAll || r.muted[u]) || r.muted[u] && r.bySite[u]
}

// allowed is what the model says of somebody who acts.
func (r *roomModel) allowed(u int64, least int) error {
	switch {
	case r == nil || r.dissolved:
		return store.ErrNotFound
	case r.roles[u] == 0:
		return store.ErrNotMember
	case r.roles[u] < least:
		return store.ErrRole
	}
	return nil
}

func (m *membership) owned(u int64) (n int) {
	for _, r := range m.rooms {
		if r.roles[u] == store.RoleOwner {
			n++
		}
	}
	return n
}

func (m *membership) strangers(u int64, list []int64) error {
	for _, o := range list {
		if !m.contacts[[2]int64{u, o}] {
			return store.ErrNotContact
		}
	}
	return nil
}

func distinct(list []int64) []int64 { return slices.Compact(slices.Sorted(slices.Values(list))) }

func (m *membership) create() {
	u := m.someone()
	list := slices.DeleteFunc(m.some(), func(o int64) bool { return o == u })
	var want error
	switch {
	case len(distinct(list))+1 > modelLimit:
		want = store.ErrRoomFull
	case m.owned(u) >= modelOwned:
		want = store.ErrTooManyRooms
	default:
		want = m.strangers(u, list)
	}
	first := m.note(0)
	first.From = u
	msg, err := m.s.CreateRoom(m.t.Context(), store.NewRoom{
		Owner: u, Name: func(n string) string { return n }, Invitees: list, MemberLimit: modelLimit, OwnedLimit: modelOwned, First: first,
	})
	if m.want("create", err, want) {
		r := m.rooms[msg.Room]
		m.add(r, append(list, u)...)
		r.roles[u] = store.RoleOwner
	}
}

func (m *membership) invite() {
	u, list := m.someone(), m.some()
	id, r := m.someRoom()
	want := r.allowed(u, store.RoleMember)
	if want == nil {
		list = slices.DeleteFunc(list, func(o int64) bool { return o == u })
		fresh := distinct(slices.DeleteFunc(slices.Clone(list), func(o int64) bool { return r.roles[o] != 0 }))
		switch {
		case len(fresh) == 0:
			want = store.ErrConflict
		case len(r.roles)+len(fresh) > modelLimit:
			want = store.ErrRoomFull
		case !r.open && m.strangers(u, fresh) != nil:
			want = store.ErrNotContact
		case r.approval && r.roles[u] < store.RoleRoomAdmin:
			want = store.ErrRole
		case r.roles[u] < store.RoleRoomAdmin && slices.ContainsFunc(fresh, func(o int64) bool { return r.was[o].removed }):
			want = store.ErrRemoved
		}
		defer func() {
			if want == nil {
				m.add(r, fresh...)
				m.same(r)
			}
		}()
	}
	_, err := m.s.Invite(m.t.Context(), store.By{User: u}, id, list, func(_ string, _ []string, muted bool) store.NewRoomMessage {
		if muted != r.silent(u) {
			m.t.Errorf("the inviter is muted: %v", muted)
		}
		n := m.note(id)
		n.From = u
		return n
	})
	m.want("invite", err, want)
}

// same compares who the last message went to.
func (m *membership) same(r *roomModel) {
	m.t.Helper()
	if have := slices.Sorted(maps.Keys(r.roles)); !slices.Equal(have, r.lastMember) {
		m.t.Fatalf("the message goes to %v, members are %v", r.lastMember, have)
	}
}

func (m *membership) quit() {
	u := m.someone()
	id, r := m.someRoom()
	if m.r.IntN(2) == 0 {
		return // rooms must not die out
	}
	want := r.allowed(u, store.RoleMember)
	err := m.s.Quit(m.t.Context(), u, id, store.QuitTexts{
		Left: func(string) store.NewRoomMessage { return m.note(id) }, Heir: func(string) store.NewRoomMessage { return m.note(id) },
	})
	if !m.want("quit", err, want) {
		return
	}
	if r.leave(u, false) {
		m.same(r)
	}
}

// leave takes somebody out; an owner is followed. False: nobody is left.
func (r *roomModel) leave(u int64, removed bool) bool {
	role := r.roles[u]
	r.drop(u, removed)
	if len(r.roles) == 0 {
		r.dissolved, r.mutedAll, r.link = true, false, ""
		clear(r.waiting)
		return false
	}
	if role == store.RoleOwner {
		heir := int64(0)
		for o := range r.roles {
			if heir == 0 || r.roles[o] > r.roles[heir] || r.roles[o] == r.roles[heir] && r.joined[o] < r.joined[heir] {
				heir = o
			}
		}
		r.promote(heir, store.RoleOwner)
	}
	return true
}

// deleteOne takes an account out of everything; somebody new takes its place.
func (m *membership) deleteOne() {
	i := m.r.IntN(len(m.users))
	u := m.users[i]
	texts := store.QuitTexts{
		Left: func(string) store.NewRoomMessage { return m.note(0) }, Heir: func(string) store.NewRoomMessage { return m.note(0) },
	}
	m.want("delete", third(m.s.DeleteAccount(m.t.Context(), u, 0, texts)), nil)
	for _, r := range m.rooms {
		if r.roles[u] != 0 {
			r.leave(u, false)
		}
		delete(r.was, u)
		delete(r.waiting, u)
	}
	// Who is gone can make no room and come into none.
	first := m.note(0)
	first.From = u
	_, err := m.s.CreateRoom(m.t.Context(), store.NewRoom{Owner: u, Name: func(n string) string { return n }, MemberLimit: modelLimit, First: first})
	m.want("create by nobody", err, store.ErrNotFound)
	for id, r := range m.rooms {
		if r.link != "" && r.linkUses < 2 {
			_, _, err := m.s.JoinByLink(m.t.Context(), u, r.link, "", nil)
			m.want(fmt.Sprint("join of nobody ", id), err, store.ErrNoUser)
		}
	}
	a, err := m.s.CreateAccount(m.t.Context(), store.NewAccount{Username: fmt.Sprint("n", u), Nickname: fmt.Sprint("n", u), Role: store.RoleUser})
	m.want("create account", err, nil)
	m.users[i] = a.ID
}

// bySite is what an admin of the site does, who is in no room.
func (m *membership) bySite() {
	o := m.someone()
	id, r := m.someRoom()
	var want error
	switch {
	case r == nil || r.dissolved:
		want = store.ErrNotFound
	case r.roles[o] == 0:
		want = store.ErrNoUser
	}
	if m.r.IntN(3) > 0 {
		until := int64(m.r.IntN(2)) << 60
		_, err := m.s.Mute(m.t.Context(), store.By{Admin: true}, id, o, until, func(string) store.NewRoomMessage { return m.note(id) })
		// Who is muted already stays muted by whom it was.
		if m.want("mute by the site", err, want) && (until == 0 || !r.muted[o]) {
			r.muted[o], r.bySite[o] = until != 0, until != 0
			if until == 0 {
				delete(r.muted, o)
			}
		}
		return
	}
	say := func(string) store.NewRoomMessage { return m.note(id) }
	err := m.s.RemoveMember(m.t.Context(), store.By{Admin: true}, id, o, func(string, string) store.NewRoomMessage { return m.note(id) }, say)
	if m.want("remove by the site", err, want) && r.leave(o, true) {
		m.same(r)
	}
}

func (m *membership) removeOne() {
	u, o := m.someone(), m.someone()
	id, r := m.someRoom()
	want := r.over(u, o)
	err := m.s.RemoveMember(m.t.Context(), store.By{User: u}, id, o, func(string, string) store.NewRoomMessage { return m.note(id) }, nil)
	if m.want("remove", err, want) {
		r.drop(o, true)
		m.same(r)
	}
}

// over says whether u may decide over o.
func (r *roomModel) over(u, o int64) error {
	if err := r.allowed(u, store.RoleRoomAdmin); err != nil {
		return err
	}
	switch {
	case r.roles[o] == 0:
		return store.ErrNoUser
	case r.roles[o] >= r.roles[u]:
		return store.ErrRole
	}
	return nil
}

func (m *membership) mute() {
	u, o := m.someone(), m.someone()
	id, r := m.someRoom()
	until := int64(0)
	if m.r.IntN(2) == 0 {
		until = 1 << 60
	}
	if m.r.IntN(3) == 0 {
		o = 0
	}
	want := r.allowed(u, store.RoleRoomAdmin)
	if want == nil && o != 0 {
		if want = r.over(u, o); want == nil && r.muted[o] && r.bySite[o] {
			want = store.ErrRole
		}
	}
	_, err := m.s.Mute(m.t.Context(), store.By{User: u}, id, o, until, func(string) store.NewRoomMessage { return m.note(id) })
	if !m.want("mute", err, want) {
		return
	}
	switch {
	case o == 0:
		r.mutedAll = until != 0
	case until != 0:
		r.muted[o] = true
	default:
		delete(r.muted, o)
	}
}

func (m *membership) admins() {
	u := m.someone()
	id, r := m.someRoom()
	list := distinct(m.some())[:1]
	want := r.allowed(u, store.RoleOwner)
	switch {
	case want != nil:
	case r.roles[list[0]] == 0:
		want = store.ErrNoUser
	case r.roles[list[0]] == store.RoleOwner:
		want = store.ErrConflict
	}
	err := m.s.SetAdmins(m.t.Context(), store.By{User: u}, id, list, func([]string) store.NewRoomMessage { return m.note(id) })
	if !m.want("admins", err, want) {
		return
	}
	for o, role := range r.roles {
		switch {
		case o == list[0]:
			r.promote(o, store.RoleRoomAdmin)
		case role == store.RoleRoomAdmin:
			r.roles[o] = store.RoleMember
		}
	}
}

func (m *membership) transfer() {
	u, o := m.someone(), m.someone()
	id, r := m.someRoom()
	want := r.allowed(u, store.RoleOwner)
	switch {
	case want != nil:
	case r.roles[o] == 0:
		want = store.ErrNoUser
	case o == u:
		want = store.ErrConflict
	case m.owned(o) >= modelOwned:
		want = store.ErrTooManyRooms
	}
	err := m.s.Transfer(m.t.Context(), store.By{User: u}, id, o, modelOwned, func(string) store.NewRoomMessage { return m.note(id) })
	if m.want("transfer", err, want) {
		r.promote(u, store.RoleRoomAdmin)
		r.promote(o, store.RoleOwner)
	}
}

func (m *membership) send() {
	u := m.someone()
	id, r := m.someRoom()
	want := r.allowed(u, store.RoleMember)
	if want == nil && r.silent(u) {
		want = store.ErrMuted
	}
	n := m.note(id)
	n.Room, n.From, n.Type = id, u, 0
	_, err := m.s.SendRoom(m.t.Context(), n)
	if m.want("send", err, want) {
		m.same(r)
	}
}

func (m *membership) set() {
	u := m.someone()
	id, r := m.someRoom()
	want := r.allowed(u, store.RoleRoomAdmin)
	open, approval := m.r.IntN(2) == 0, m.r.IntN(2) == 0
	err := m.s.SetRoom(m.t.Context(), store.By{User: u}, id, store.RoomChange{OpenInvite: &open, Approval: &approval}, nil)
	if m.want("set", err, want) {
		r.open, r.approval = open, approval
	}
}

func (m *membership) makeLink() {
	u := m.someone()
	id, r := m.someRoom()
	m.codes++
	code := fmt.Sprint("c", m.codes)
	_, err := m.s.CreateLink(m.t.Context(), store.By{User: u}, store.Link{Code: code, Room: id, MaxUses: 2})
	if m.want("link", err, r.allowed(u, store.RoleRoomAdmin)) {
		r.link, r.linkUses = code, 0
	}
}

func (m *membership) joinLink() {
	u := m.someone()
	id, r := m.someRoom()
	if r == nil || r.link == "" {
		return
	}
	var want error
	switch {
	case r.linkUses >= 2 && !(r.approval && r.waiting[u]): // who waits may change the request
		want = store.ErrNotFound
	case r.roles[u] != 0:
		want = store.ErrConflict
	case r.was[u].removed && !r.approval:
		want = store.ErrRemoved
	case len(r.roles) >= modelLimit:
		want = store.ErrRoomFull
	}
	_, joined, err := m.s.JoinByLink(m.t.Context(), u, r.link, "let me in", func(string, []string) store.NewRoomMessage {
		n := m.note(id)
		n.From = u
		return n
	})
	if !m.want("join", err, want) {
		return
	}
	if joined == r.approval {
		m.t.Fatalf("joined %v, approval %v", joined, r.approval)
	}
	if joined || !r.waiting[u] {
		r.linkUses++
	}
	if joined {
		m.add(r, u)
		m.same(r)
	} else {
		r.waiting[u] = true
	}
}

func (m *membership) answer() {
	u, o := m.someone(), m.someone()
	id, r := m.someRoom()
	accept := m.r.IntN(2) == 0
	want := r.allowed(u, store.RoleRoomAdmin)
	switch {
	case want != nil:
	case !r.waiting[o]:
		want = store.ErrNoUser
	case accept && len(r.roles) >= modelLimit:
		want = store.ErrRoomFull
	}
	err := m.s.AnswerRequest(m.t.Context(), store.By{User: u}, id, o, accept, func(string, []string) store.NewRoomMessage {
		n := m.note(id)
		n.From = u
		return n
	})
	if !m.want("answer", err, want) {
		return
	}
	delete(r.waiting, o)
	if accept {
		m.add(r, o)
		m.same(r)
	}
}

func (m *membership) dissolve() {
	u := m.someone()
	id, r := m.someRoom()
	err := m.s.Dissolve(m.t.Context(), store.By{User: u}, id, m.note(id))
	if m.want("dissolve", err, r.allowed(u, store.RoleOwner)) {
		clear(r.roles)
		clear(r.waiting)
		r.dissolved, r.link = true, ""
	}
}

// compare reads everything back.
func (m *membership) compare() {
	for id, r := range m.rooms {
		rows, err := m.s.RoomMembers(m.t.Context(), id, store.MemberFilter{Limit: 100})
		if err != nil {
			m.t.Fatal(err)
		}
		have := map[int64]int{}
		for _, row := range rows {
			have[row.User] = row.Role
			if (row.BannedUntil != 0) != r.muted[row.User] {
				m.t.Errorf("room %d: user %d muted %v, model %v", id, row.User, row.BannedUntil, r.muted[row.User])
			}
		}
		if !maps.Equal(have, r.roles) {
			m.t.Errorf("room %d has %v, model %v", id, have, r.roles)
		}
		waiting, err := m.s.RoomRequests(m.t.Context(), id)
		if err != nil || len(waiting) != len(r.waiting) {
			m.t.Errorf("room %d: %d wait, model %d, %v", id, len(waiting), len(r.waiting), err)
		}
		row, err := m.s.Room(m.t.Context(), id)
		if r.dissolved {
			if !errors.Is(err, store.ErrNotFound) {
				m.t.Errorf("room %d is dissolved: %v", id, err)
			}
			continue
		}
		if err != nil || row.MemberNum != len(r.roles) || (row.BannedUntil != 0) != r.mutedAll || row.Approval != r.approval {
			m.t.Errorf("room %d is %+v, %v; model %+v", id, row, err, r)
		}
		for u := range r.roles {
			if p, err := m.s.RoomPosition(m.t.Context(), id, u); err != nil || int(p.Last) != r.messages {
				m.t.Errorf("room %d stands at %d, %v, model %d", id, p.Last, err, r.messages)
			}
		}
	}
}

// A room's id is never used again, and what was before one's time stays hidden.
func TestRoomIDsAreNotUsedAgain(t *testing.T) {
	s := open(t)
	a, err := s.CreateAccount(t.Context(), store.NewAccount{Username: "a", Nickname: "a", Role: store.RoleUser})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[int64]bool{}
	for range 3 {
		m, err := s.CreateRoom(t.Context(), store.NewRoom{
			Owner: a.ID, Name: func(n string) string { return n }, MemberLimit: 5, First: store.NewRoomMessage{From: a.ID},
		})
		if err != nil || ids[m.Room] || m.Room <= store.FirstRoom {
			t.Fatalf("room %d, %v", m.Room, err)
		}
		ids[m.Room] = true
		if err := s.Dissolve(t.Context(), store.By{User: a.ID}, m.Room, store.NewRoomMessage{}); err != nil {
			t.Fatal(err)
		}
	}
}
