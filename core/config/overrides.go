package config

import (
	"slices"
	"sort"
	"strings"
)

// Setting is one key with the value that somebody gave it.
type Setting struct {
	Key, Value string
}

// Overrides are the settings that were given explicitly at one place: in the configuration file, for a topic, for a
// broker. They are sorted by key, have each key once, and are never changed: With and Without make new ones, so
// an Overrides may be shared freely.
type Overrides []Setting

// OverridesOf collects the settings of a map.
func OverridesOf(values map[string]string) Overrides {
	var o Overrides
	//house:anyorder sorted below
	for k, v := range values {
		o = append(o, Setting{k, v})
	}
	sort.Slice(o, func(i, j int) bool { return o[i].Key < o[j].Key })
	return o
}

func (o Overrides) search(key string) (int, bool) {
	return slices.BinarySearchFunc(o, key, func(s Setting, k string) int { return strings.Compare(s.Key, k) })
}

// Value returns what key was set to.
func (o Overrides) Value(key string) (value string, ok bool) {
	i, ok := o.search(key)
	if !ok {
		return "", false
	}
	return o[i].Value, true
}

// With returns o with one key set.
func (o Overrides) With(key, value string) Overrides {
	i, ok := o.search(key)
	next := make(Overrides, 0, len(o)+1)
	next = append(next, o[:i]...)
	next = append(next, Setting{key, value})
	if ok {
		i++
	}
	return append(next, o[i:]...)
}

// Without returns o with one key not set.
func (o Overrides) Without(key string) Overrides {
	i, ok := o.search(key)
	if !ok {
		return o
	}
	if len(o) == 1 {
		return nil
	}
	next := make(Overrides, 0, len(o)-1)
	return append(append(next, o[:i]...), o[i+1:]...)
}

// Defaults are the layers below a topic's own settings, strongest first: what was set for this broker, for all brokers, and
// in the broker's configuration file. The zero value stands for a broker with no settings at all.
type Defaults struct {
	Broker  Overrides
	Cluster Overrides
	Static  Overrides
}

// value returns a broker setting's value over all layers, or ok == false if it has none.
func (d *Defaults) value(name string) (value string, ok bool) {
	for _, layer := range [...]Overrides{d.Broker, d.Cluster, d.Static} {
		if v, ok := layer.Value(name); ok {
			return v, true
		}
	}
	key := BrokerKey(name)
	if key == nil || key.Null {
		return "", false
	}
	return key.Default, true
}
