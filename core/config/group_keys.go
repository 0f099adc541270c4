package config

import (
	"errors"
	"fmt"
	"strconv"
)

// groupKeys are the settings of one group of the consumer protocol. What is not set for a group is what the broker has.
var groupKeys = []Key{
	{Name: "consumer.heartbeat.interval.ms", Type: Int, Default: "5000", Limits: atLeast(1),
		Doc: "Time between heartbeats that the group's members are told to keep."},
	{Name: "consumer.session.timeout.ms", Type: Int, Default: "45000", Limits: atLeast(1),
		Doc: "A member of the group that sent no heartbeat for so long is removed."},
}

var groupTable = byName(groupKeys)

// GroupKeys lists the settings of a group by name. The result must not be changed.
func GroupKeys() []Key { return groupTable }

// behindGroup is the broker setting that holds where a group has none of its own, and what limits both.
func behindGroup(name string) (value, least, most string) {
	const prefix = "consumer."
	what := name[len(prefix):]
	return "group.consumer." + what, "group.consumer.min." + what, "group.consumer.max." + what
}

// AlterGroup applies alterations to a group's settings, without checking the outcome: that is CheckGroup's part.
func AlterGroup(own Overrides, changes []Alteration) (Overrides, error) {
	return alter(own, changes, groupTable)
}

// CheckGroup checks a group's own settings against the tables, the broker's limits and each other and returns them in canonical form. The error joins every fault.
func CheckGroup(own Overrides, below Defaults) (Overrides, error) {
	canonical, faults := checkAgainst(own, groupTable)
	if faults != nil {
		return canonical, errors.Join(faults...)
	}
	broker := brokerValues{below}
	for _, s := range canonical {
		_, least, most := behindGroup(s.Key)
		if value := number(s.Value); value < broker.integer(least) || value > broker.integer(most) {
			faults = append(faults, fmt.Errorf("%s is %d: want %d to %d (%s, %s)", s.Key, value, broker.integer(least), broker.integer(most), least, most))
		}
	}
	session, heartbeat := below.ofGroup(canonical, "consumer.session.timeout.ms"), below.ofGroup(canonical, "consumer.heartbeat.interval.ms")
	if heartbeat >= session {
		faults = append(faults, fmt.Errorf("consumer.heartbeat.interval.ms is %d: want less than consumer.session.timeout.ms, which is %d", heartbeat, session))
	}
	return canonical, errors.Join(faults...)
}

// DescribeGroup shows the settings of a group: those named, or all if names is nil. Names that are not settings are left out.
func DescribeGroup(own Overrides, below Defaults, names []string) []Described {
	return describe(groupTable, names, func(key *Key) Described {
		d := Described{Key: key, Value: strconv.FormatInt(below.ofGroup(own, key.Name), 10), Source: FromDefault}
		if v, ok := own.Value(key.Name); ok {
			d.Synonyms = append(d.Synonyms, Synonym{key.Name, v, FromGroup})
		}
		behind, _, _ := behindGroup(key.Name)
		d.Synonyms = append(d.Synonyms, below.synonyms([]string{behind})...)
		d.Source = d.Synonyms[0].Source
		return d
	})
}

// GroupTimes are the session timeout and the heartbeat interval of a group of the consumer protocol, in milliseconds.
func (g *Groups) GroupTimes(own Overrides) (session, heartbeat int32) {
	session, heartbeat = g.ConsumerSessionMillis, g.ConsumerHeartbeatMillis
	if v, ok := own.Value("consumer.session.timeout.ms"); ok {
		session = int32(number(v))
	}
	if v, ok := own.Value("consumer.heartbeat.interval.ms"); ok {
		heartbeat = int32(number(v))
	}
	return session, heartbeat
}

// ofGroup is what holds for a group.
func (d *Defaults) ofGroup(own Overrides, name string) int64 {
	if v, ok := own.Value(name); ok {
		return number(v)
	}
	behind, _, _ := behindGroup(name)
	return brokerValues{*d}.integer(behind)
}

// number reads a checked value.
func number(v string) int64 {
	n, _ := strconv.ParseInt(v, 10, 64)
	return n
}
