// Package config holds the settings of a broker and of a topic under Apache Kafka's names.
//
// The tables of this package are data: for every key its type, default, range, documentation and what Lignum does with
// it. Broker and Topic are the parsed views that the rest of the program reads. Whatever a user writes is checked
// against the tables, and every fault is reported at once with key, value and what would be right.
//
// Invariants:
//
//   - A key that is not in the tables is refused by name; nothing that a user wrote is dropped silently.
//   - A key whose meaning Lignum does not provide is Refused unless it has its default value; a key that only tunes
//     machinery which Lignum does not have is Inert.
//   - Values in the tables' canonical form parse without error, so the views are total functions of checked values.
//
// Lignum's own keys carry the prefix "lignum.".
package config

import "sort"

// Type is the type of a setting's value, with the numbers of Kafka's DescribeConfigs.
type Type int8

// The types of values.
const (
	Boolean  Type = 1
	String   Type = 2
	Int      Type = 3
	Short    Type = 4
	Long     Type = 5
	Double   Type = 6
	List     Type = 7
	Class    Type = 8
	Password Type = 9
)

// Effect is what Lignum does with a key.
type Effect uint8

// The effects of a key.
const (
	// Active: the setting does what its documentation says.
	Active Effect = iota
	// Inert: accepted so that an ordinary Kafka configuration starts, and without effect: it tunes
	// machinery that Lignum does not have.
	Inert
	// Refused: any value but the default would have a meaning that Lignum does not provide.
	Refused
)

// Scope says how a broker setting may be changed while the broker runs.
type Scope uint8

// The scopes of a change.
const (
	// Static settings change with a restart only.
	Static Scope = iota
	// ClusterWide settings can be altered for all brokers or for one.
	ClusterWide
	// PerBroker settings can be altered for one broker only.
	PerBroker
)

// Key describes one setting.
type Key struct {
	Name string
	Type Type
	// Default is the value of a setting that nobody wrote; it is meaningless if Null.
	Default string
	// Null: without a value in the configuration the setting has none.
	Null   bool
	Limits Limits
	Effect Effect
	Scope  Scope
	// Doc explains the setting to a user.
	Doc string
}

// Documentation is the text for people, with a note if Lignum does not act on the key.
func (k *Key) Documentation() string {
	switch k.Effect {
	case Inert:
		return k.Doc + " Accepted for compatibility; it has no effect in Lignum."
	case Refused:
		return k.Doc + " Lignum does not support it: only the default value is accepted."
	default:
		return k.Doc
	}
}

// Sensitive settings are never shown.
func (k *Key) Sensitive() bool { return k.Type == Password }

// TopicKeys lists the settings of a topic by name. The result must not be changed.
func TopicKeys() []Key { return topicTable }

// BrokerKeys lists the settings of a broker by name. The result must not be changed.
func BrokerKeys() []Key { return brokerTable }

// TopicKey finds a topic's setting; nil if there is none of that name.
func TopicKey(name string) *Key { return find(topicTable, name) }

// BrokerKey finds a broker's setting; nil if there is none of that name.
func BrokerKey(name string) *Key { return find(brokerTable, name) }

func find(table []Key, name string) *Key {
	i := sort.Search(len(table), func(i int) bool { return table[i].Name >= name })
	if i == len(table) || table[i].Name != name {
		return nil
	}
	return &table[i]
}

// byName joins tables into one that find can search.
func byName(tables ...[]Key) []Key {
	var all []Key
	for _, t := range tables {
		all = append(all, t...)
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

var brokerTable = byName(nodeKeys, networkKeys, logKeys, internalTopicKeys, replicationKeys, machineryKeys,
	securityKeys, remoteKeys, lignumKeys)

var topicTable = byName(topicKeys)
