package ledger

import (
	"fmt"
	"slices"
	"testing"
)

// groupRig is the books of one group, and what they complain about.
type groupRig struct {
	now   int64
	books *Groups
	group *Group
	said  []string
}

func newGroupRig() *groupRig {
	r := &groupRig{}
	r.books = NewGroups(New(World{
		Now: func() int64 { return r.now }, Losses: func() uint64 { return 0 },
		Fail: func(name, format string, args ...any) {
			r.said = append(r.said, name)
			_ = fmt.Sprintf(format, args...)
		},
	}))
	r.group = r.books.Add("g")
	return r
}

func (r *groupRig) at(now int64) *groupRig { r.now = now; return r }

var (
	key  = OffsetKey{"t", 0}
	keys = []OffsetKey{key}
)

// commit is a commit that is accepted.
func commit(r *groupRig, who Member) *Commit {
	c := r.group.Commit(1, who, keys)
	r.now++
	c.Ended(0, Done)
	c.Took()
	return c
}

// groupCase is what somebody does, and what the books say of it.
type groupCase struct {
	name string
	want []string
	act  func(r *groupRig)
}

// TestGroupOffsets breaks each promise about committed offsets once.
func TestGroupOffsets(t *testing.T) {
	try(t, []groupCase{
		{"a commit and a fetch", nil, func(r *groupRig) {
			c := commit(r, Member{Generation: -1})
			r.at(10).group.Fetched(2, 9, key, c.Offset(0), c.Metadata(0))
		}},
		{"C1, lost", []string{"C1"}, func(r *groupRig) {
			commit(r, Member{Generation: -1})
			r.at(10).group.Fetched(2, 9, key, -1, "")
		}},
		{"C1, never committed", []string{"C1", "C1"}, func(r *groupRig) { r.at(10).group.Fetched(2, 9, key, 7, "value 7") }},
		{"an expiry", nil, func(r *groupRig) {
			r.books.Expiring = true
			commit(r, Member{Generation: -1})
			r.at(10).group.Fetched(2, 9, key, -1, "")
		}},
		{"C1, an expiry while there is a member", []string{"C1"}, func(r *groupRig) {
			r.books.Expiring = true
			r.at(1).group.Alive("m", 0)
			r.at(2)
			commit(r, Member{ID: "m", Generation: 1, Classic: true})
			r.at(10).group.Fetched(2, 9, key, -1, "")
			r.at(20).group.Alive("m", 19)
		}},
		{"an expiry while there is a member that may not read the topic", nil, func(r *groupRig) {
			r.books.Expiring = true
			r.at(1).group.Alive("m", 0)
			r.group.Vague("m")
			r.at(2)
			commit(r, Member{ID: "m", Generation: 1, Classic: true})
			r.at(10).group.Fetched(2, 9, key, -1, "")
			r.at(20).group.Alive("m", 19)
		}},
		{"C2, an old generation", []string{"C2"}, func(r *groupRig) {
			r.at(5).group.Completed("m2", "", 2, 4, 1)
			r.at(10)
			commit(r, Member{ID: "m1", Generation: 1, Since: 3, Classic: true})
		}},
		{"C2, an old epoch", []string{"C2"}, func(r *groupRig) {
			r.at(5).group.Told("m", "", 2, 4)
			r.at(10)
			commit(r, Member{ID: "m", Generation: 1})
		}},
		{"C2, one that is gone", []string{"C2"}, func(r *groupRig) {
			r.at(5).group.Told("m", "", 2, 4)
			r.at(6).group.Gone("m")
			r.at(10)
			commit(r, Member{ID: "m", Generation: 2})
		}},
		{"C2, a stranger among members", []string{"C2"}, func(r *groupRig) {
			r.at(1).group.Alive("m", 0)
			r.at(5)
			commit(r, Member{Generation: -1})
			r.at(20).group.Alive("m", 19)
		}},
		{"C6, a deletion of a group with members", []string{"C6"}, func(r *groupRig) {
			r.at(1).group.Alive("m", 0)
			d := r.at(5).group.Delete(1, nil)
			r.now++
			d.Emptied()
			r.at(20).group.Alive("m", 19)
		}},
	})
}

// TestGroupMembers breaks each promise about members once.
func TestGroupMembers(t *testing.T) {
	try(t, []groupCase{
		{"C8, a replaced instance", []string{"C8"}, func(r *groupRig) {
			r.at(5).group.Completed("m2", "i", 1, 4, 1)
			r.at(10)
			commit(r, Member{ID: "m1", Instance: "i", Generation: 1, Since: 3, Classic: true})
		}},
		{"C8, a generation goes back", []string{"C8"}, func(r *groupRig) {
			r.at(5).group.Completed("m", "", 2, 4, 1)
			r.at(8).group.Completed("m", "", 1, 7, 2)
		}},
		{"C7, two assignments of a generation", []string{"C7"}, func(r *groupRig) {
			r.at(5).group.Completed("m", "", 2, 4, 1)
			r.at(8).group.Completed("m2", "", 2, 7, 2)
		}},
		{"C7, two owners", []string{"C7"}, func(r *groupRig) {
			r.group.Holder("a").Take(keys, 10)
			r.at(9).group.Holder("b").Take(keys, 20)
		}},
		{"an owner whose time is over", nil, func(r *groupRig) {
			r.group.Holder("a").Take(keys, 10)
			r.at(10).group.Holder("b").Take(keys, 20)
		}},
		{"C7, an owner that goes on", []string{"C7"}, func(r *groupRig) {
			a := r.group.Holder("a")
			a.Take(keys, 10)
			r.at(11).group.Holder("b").Take(keys, 20)
			r.at(12)
			a.Keep(30)
		}},
	})
}

func try(t *testing.T, cases []groupCase) {
	t.Helper()
	for _, c := range cases {
		r := newGroupRig()
		c.act(r)
		r.books.Judge()
		if !slices.Equal(r.said, c.want) {
			t.Errorf("%s: %v, want %v", c.name, r.said, c.want)
		}
	}
}

// TestOpenCommits: a commit that has no answer when the books are closed may have been.
func TestOpenCommits(t *testing.T) {
	r := newGroupRig()
	c := r.group.Commit(1, Member{Generation: -1}, keys)
	r.at(5).group.Fetched(2, 4, key, c.Offset(0), c.Metadata(0))
	if r.books.Judge(); len(r.said) > 0 {
		t.Error(r.said)
	}
}
