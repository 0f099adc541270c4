package group

import (
	"regexp"
	"slices"
	"time"

	"lignum/core/record"
)

// longestRegex bounds what a client can have compiled.
const longestRegex = 4096

// regexPause is the least time between two looks at what the expressions of a group stand for, unless there is a new one.
const regexPause = 10 * time.Second

// compile reads an expression of RE2. It must match the whole of a topic's name.
func compile(regex string) (*regexp.Regexp, bool) {
	if len(regex) > longestRegex {
		return nil, false
	}
	r, err := regexp.Compile("^(?:" + regex + ")$")
	return r, err == nil
}

// match finds out what the members' expressions stand for, if topics have come or gone or there is a new one. It reports whether any of
// that differs from before; false for ok means that the sender's own expression is none.
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
	_, known := d.c.regexes[d.facts.regex]
	fresh := d.facts.regex != "" && !known
	version := d.s.world.Topics.Version()
	stale := d.c.matched != version && d.s.host.Now() >= d.c.matchedAt.Add(regexPause)
	if len(wanted) == 0 || !fresh && !stale {
		return false, true
	}
	all := d.s.world.Topics.Names()
	list := make([]string, 0, len(wanted))
	//house:anyorder they are sorted below
	for regex := range wanted {
		list = append(list, regex)
	}
	slices.Sort(list)
	for _, regex := range list {
		old, had := d.c.regexes[regex]
		if had && !stale {
			continue
		}
		r, valid := compile(regex)
		if !valid {
			if regex == d.facts.regex {
				return false, false
			}
			continue
		}
		topics := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !r.MatchString(name) })
		if !had || !slices.Equal(old, topics) {
			changed = true
			d.regexes[regex] = topics
			d.records = append(d.records, regexRecord(d.id, regex, topics, int64(max(version, 0)), int64(d.s.host.Wall())))
		}
	}
	d.matched = stale
	return changed, true
}

// noted remembers, once the decision is made, at which version of the topics it was made.
func (d *draft) noted(version record.Offset) {
	c := d.s.find(d.id).consumer
	c.checked = version
	if d.matched {
		c.matched, c.matchedAt = version, d.s.host.Now()
	}
}
