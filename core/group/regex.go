package group

import (
	"regexp"
	"slices"
	"time"

	"lignum/core/env"
	"lignum/core/record"
)

const (
	// longestRegex bounds what a client can have compiled.
	longestRegex = 4096
	// mostRegexes bounds the expressions whose topics a shard remembers.
	mostRegexes = 1000
	// regexPause is the least time between two looks at what an expression stands for.
	regexPause = 10 * time.Second
)

// resolved is what an expression stands for at one version of the topics. A job finds out: a hostile expression takes long.
type resolved struct {
	version record.Offset
	at      env.Instant
	valid   bool
	topics  []string // sorted
	running bool
	waiting []func() // for the first result
}

// compile reads an expression of RE2. It must match the whole of a topic's name.
func compile(regex string) (*regexp.Regexp, bool) {
	if len(regex) > longestRegex {
		return nil, false
	}
	r, err := regexp.Compile("^(?:" + regex + ")$")
	return r, err == nil
}

// resolves reports whether it is known what an expression stands for, or else calls then when it is.
func (s *Shard) resolves(regex string, then func()) bool {
	e := s.regexes[regex]
	if e != nil && e.version != record.NoOffset {
		return true
	}
	if e == nil {
		e = s.refresh(regex)
	}
	e.waiting = append(e.waiting, then)
	return false
}

// refresh has a job find out what an expression stands for now.
func (s *Shard) refresh(regex string) *resolved {
	e := s.regexes[regex]
	if e == nil {
		if len(s.regexes) >= mostRegexes {
			s.regexes = map[string]*resolved{} // jobs that run keep theirs
		}
		e = &resolved{version: record.NoOffset}
		s.regexes[regex] = e
	}
	e.running = true
	version, names := s.world.Topics.Version(), s.world.Topics.Names()
	s.host.Job(func() func() {
		r, valid := compile(regex)
		if valid {
			names = slices.DeleteFunc(names, func(name string) bool { return !r.MatchString(name) })
		}
		return func() {
			e.version, e.at, e.valid, e.topics, e.running = max(version, 0), s.host.Now(), valid, names, false
			waiting := e.waiting
			e.waiting = nil
			for _, then := range waiting {
				then()
			}
		}
	})
	return e
}

// match takes over what the members' expressions stand for. It reports whether that differs from before; false for ok means that the
// member's own expression is none.
func (d *draft) match() (changed, ok bool) {
	wanted := map[string]bool{}
	for _, id := range d.ids() {
		if regex := d.factsOf(id).regex; regex != "" {
			wanted[regex] = true
		}
	}
	d.regexes = map[string][]string{}
	for _, regex := range d.c.expressions() {
		if !wanted[regex] {
			d.regexes[regex] = nil
			d.records = append(d.records, tombstone(key{version: keyRegex, group: d.id, name: regex}))
		}
	}
	list := make([]string, 0, len(wanted))
	//house:anyorder they are sorted below
	for regex := range wanted {
		list = append(list, regex)
	}
	slices.Sort(list)
	s, version := d.s, max(d.s.world.Topics.Version(), 0)
	for _, regex := range list {
		e := s.regexes[regex]
		if e == nil || !e.running && e.version != version && s.host.Now() >= e.at.Add(regexPause) {
			e = s.refresh(regex)
		}
		old, had := d.c.regexes[regex]
		switch {
		case e.version == record.NoOffset:
		case !e.valid && regex == d.facts.regex:
			return false, false
		case e.valid && (!had || !slices.Equal(old, e.topics)):
			changed = true
			d.regexes[regex] = e.topics
			d.records = append(d.records, regexRecord(d.id, regex, e.topics, int64(e.version), int64(s.host.Wall())))
		}
	}
	return changed, true
}
