package config

import (
	"fmt"
	"testing"
)

// TestGroupSettings: a group's own times lie within the broker's limits, and fit each other and what the broker has.
func TestGroupSettings(t *testing.T) {
	const session, heartbeat = "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"
	narrow := Defaults{Static: OverridesOf(map[string]string{
		"group.consumer.min.session.timeout.ms": "1000", "group.consumer.max.session.timeout.ms": "9000", "group.consumer.session.timeout.ms": "6000",
		"group.consumer.min.heartbeat.interval.ms": "100", "group.consumer.max.heartbeat.interval.ms": "8000", "group.consumer.heartbeat.interval.ms": "500",
	})}
	for _, c := range []struct {
		below Defaults
		own   map[string]string
		good  bool
	}{
		{Defaults{}, map[string]string{}, true},
		{Defaults{}, map[string]string{session: "45000"}, true},
		{Defaults{}, map[string]string{session: "60000", heartbeat: "15000"}, true},
		{Defaults{}, map[string]string{session: "44999"}, false},
		{Defaults{}, map[string]string{session: "60001"}, false},
		{Defaults{}, map[string]string{heartbeat: "4999"}, false},
		{Defaults{}, map[string]string{heartbeat: "15001"}, false},
		{Defaults{}, map[string]string{session: "soon"}, false},
		{Defaults{}, map[string]string{"group.consumer.session.timeout.ms": "45000"}, false},
		{Defaults{}, map[string]string{"share.session.timeout.ms": "45000"}, false},
		{narrow, map[string]string{session: "1000"}, true},
		{narrow, map[string]string{session: "45000"}, false},
		{narrow, map[string]string{session: "3000", heartbeat: "3000"}, false},
		{narrow, map[string]string{heartbeat: "6000"}, false}, // the broker's session
		{narrow, map[string]string{heartbeat: "6000", session: "6001"}, true},
	} {
		if _, err := CheckGroup(OverridesOf(c.own), c.below); (err == nil) != c.good {
			t.Errorf("%v: %v", c.own, err)
		}
	}
	own, err := AlterGroup(nil, []Alteration{{Key: session, Value: " 7000 "}})
	if err != nil {
		t.Fatal(err)
	}
	if own, err = CheckGroup(own, narrow); err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, d := range DescribeGroup(own, narrow, nil) {
		text += fmt.Sprintln(d.Key.Name, d.Value, d.Source, d.Synonyms)
	}
	want := "consumer.heartbeat.interval.ms 500 4 [{group.consumer.heartbeat.interval.ms 500 4} {group.consumer.heartbeat.interval.ms 5000 5}]\n" +
		"consumer.session.timeout.ms 7000 8 [{consumer.session.timeout.ms 7000 8} {group.consumer.session.timeout.ms 6000 4} {group.consumer.session.timeout.ms 45000 5}]\n"
	if text != want {
		t.Errorf("described as\n%swant\n%s", text, want)
	}
	if list := DescribeGroup(own, narrow, []string{"no.such.key", session}); len(list) != 1 {
		t.Errorf("%d of the two", len(list))
	}
	g := Groups{ConsumerSessionMillis: 6000, ConsumerHeartbeatMillis: 500}
	if s, h := g.GroupTimes(own); s != 7000 || h != 500 {
		t.Errorf("the times are %d and %d", s, h)
	}
	if list, err := AlterGroup(own, []Alteration{{Key: session, Operation: Delete}}); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}
