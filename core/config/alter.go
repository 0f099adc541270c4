package config

import (
	"fmt"
	"slices"
	"strings"
)

// Operation is what IncrementalAlterConfigs does to one key, with Kafka's numbers.
type Operation int8

// The operations.
const (
	Set      Operation = 0
	Delete   Operation = 1
	Append   Operation = 2
	Subtract Operation = 3
)

// Alteration changes one key.
type Alteration struct {
	Key       string
	Operation Operation
	Value     string
	Null      bool // no value was given
}

// MalformedAlteration is a change that no configuration could make sense of: a fault of the request, not of a value.
type MalformedAlteration string

// Error makes the fault readable.
func (m MalformedAlteration) Error() string { return string(m) }

func malformed(format string, args ...any) error {
	return MalformedAlteration(fmt.Sprintf(format, args...))
}

// AlterTopic applies alterations to a topic's settings, without checking the outcome: that is CheckTopic's part.
func AlterTopic(own Overrides, changes []Alteration) (Overrides, error) {
	return alter(own, changes, topicTable)
}

// AlterBroker applies alterations to a broker's settings, without checking the outcome: that is CheckBroker's part.
func AlterBroker(own Overrides, changes []Alteration) (Overrides, error) {
	return alter(own, changes, brokerTable)
}

// MaxChanges bounds how many settings of one resource a request may name. There are less than half as many.
const MaxChanges = 1000

func alter(own Overrides, changes []Alteration, table []Key) (Overrides, error) {
	if len(changes) > MaxChanges {
		return nil, malformed("the request has %d settings for one resource, at most %d are allowed", len(changes), MaxChanges)
	}
	for i, c := range changes {
		if slices.ContainsFunc(changes[:i], func(other Alteration) bool { return other.Key == c.Key }) {
			return nil, malformed("key %s appears more than once in the request", c.Key)
		}
		switch c.Operation {
		case Set:
			if c.Null {
				return nil, malformed("key %s is to be set but has no value", c.Key)
			}
			own = own.With(c.Key, c.Value)
		case Delete:
			own = own.Without(c.Key)
		case Append, Subtract:
			next, err := alterList(own, c, table)
			if err != nil {
				return nil, err
			}
			own = next
		default:
			return nil, malformed("unknown operation %d for key %s", c.Operation, c.Key)
		}
	}
	return own, nil
}

// alterList adds items to a list or takes them away. A list that was not set starts from its default.
func alterList(own Overrides, c Alteration, table []Key) (Overrides, error) {
	key := find(table, c.Key)
	if key == nil {
		return nil, unknown(c.Key, table)
	}
	if key.Type != List {
		return nil, fmt.Errorf("key %s is no list: its value can be set and deleted only", c.Key)
	}
	if c.Null {
		return nil, malformed("key %s is to be changed but the request has no value", c.Key)
	}
	current, set := own.Value(c.Key)
	if !set {
		current = key.Default
	}
	if len(c.Value) > maxValue {
		return nil, tooLong(c.Key, len(c.Value))
	}
	items := splitList(current)
	for _, item := range splitList(c.Value) {
		at := slices.Index(items, item)
		if c.Operation == Append && at < 0 {
			items = append(items, item)
		}
		if c.Operation == Subtract && at >= 0 {
			items = slices.Delete(items, at, at+1)
		}
	}
	return own.With(c.Key, strings.Join(items, ",")), nil
}
