package config

// Source says where an effective value comes from, with the numbers of Kafka's DescribeConfigs.
type Source int8

// The sources of values.
const (
	FromTopic         Source = 1 // altered for the topic
	FromBroker        Source = 2 // altered for one broker
	FromClusterWide   Source = 3 // altered for all brokers
	FromConfigFile    Source = 4 // written in the broker's configuration
	FromDefault       Source = 5
	FromBrokerLogging Source = 6
	FromGroup         Source = 8 // altered for the group
)

// Synonym is one of the places that could give a setting its value.
type Synonym struct {
	Name   string
	Value  string
	Source Source
}

// Described is one setting as DescribeConfigs shows it.
type Described struct {
	Key *Key
	// Value is the effective value in canonical form; meaningless if Null.
	Value    string
	Null     bool // has no value, or one that must not be shown
	Source   Source
	ReadOnly bool
	// Synonyms are the places with a value, strongest first. The first is where the value comes from.
	Synonyms []Synonym
}

// DescribeTopic shows the settings of a topic: those named, or all if names is nil. Names that are not settings are left out.
func DescribeTopic(own Overrides, below Defaults, names []string) []Described {
	values := topicValues{own, &below}
	return describe(topicTable, names, func(key *Key) Described {
		d := Described{Key: key, Value: values.text(key.Name), Source: FromDefault}
		if v, ok := own.Value(key.Name); ok {
			d.Synonyms = append(d.Synonyms, Synonym{key.Name, v, FromTopic})
		}
		var brokerNames []string
		for _, behind := range topicDefaults[key.Name] {
			brokerNames = append(brokerNames, behind.name)
		}
		d.Synonyms = append(d.Synonyms, below.synonyms(brokerNames)...)
		if len(d.Synonyms) > 0 {
			d.Source = d.Synonyms[0].Source
		}
		return d
	})
}

// DescribeBroker shows the settings of a broker: those named, or all if names is nil. Names that are not settings are left
// out.
func DescribeBroker(layers Defaults, names []string) []Described {
	return describe(brokerTable, names, func(key *Key) Described {
		d := Described{Key: key, Source: FromDefault, ReadOnly: key.Scope == Static}
		value, ok := layers.value(key.Name)
		d.Value, d.Null = value, !ok
		d.Synonyms = layers.synonyms(brokerSynonyms(key.Name))
		if len(d.Synonyms) > 0 {
			d.Source = d.Synonyms[0].Source
		}
		return hideSensitive(d)
	})
}

// DescribeClusterWide shows what was altered for all brokers, and nothing else.
func DescribeClusterWide(cluster Overrides, names []string) []Described {
	if names == nil {
		for _, s := range cluster {
			names = append(names, s.Key)
		}
	}
	var given []string
	for _, name := range names {
		if _, ok := cluster.Value(name); ok {
			given = append(given, name)
		}
	}
	return describe(brokerTable, append(make([]string, 0, len(given)), given...), func(key *Key) Described {
		value, _ := cluster.Value(key.Name)
		return hideSensitive(Described{
			Key: key, Value: value, Source: FromClusterWide, ReadOnly: key.Scope == Static,
			Synonyms: []Synonym{{key.Name, value, FromClusterWide}},
		})
	})
}

func hideSensitive(d Described) Described {
	if d.Key.Sensitive() {
		d.Value, d.Null = "", true
		for i := range d.Synonyms {
			d.Synonyms[i].Value = ""
		}
	}
	return d
}

func describe(table []Key, names []string, one func(*Key) Described) []Described {
	var all []Described
	if names == nil {
		for i := range table {
			all = append(all, one(&table[i]))
		}
		return all
	}
	told := make(map[string]bool)
	for _, name := range names {
		if key := find(table, name); key != nil && !told[key.Name] {
			told[key.Name] = true
			all = append(all, one(key))
		}
	}
	return all
}

// synonyms lists every layer's value for each of the names: layer by layer, and in a layer in the order of the names.
func (d *Defaults) synonyms(names []string) []Synonym {
	var all []Synonym
	layers := [...]struct {
		values Overrides
		source Source
	}{{d.Broker, FromBroker}, {d.Cluster, FromClusterWide}, {d.Static, FromConfigFile}}
	for _, layer := range layers {
		for _, name := range names {
			if v, ok := layer.values.Value(name); ok {
				all = append(all, Synonym{name, v, layer.source})
			}
		}
	}
	for _, name := range names {
		if key := BrokerKey(name); key != nil && !key.Null {
			all = append(all, Synonym{name, key.Default, FromDefault})
		}
	}
	return all
}

// brokerSynonyms lists the broker settings that say the same as the named one, strongest first.
func brokerSynonyms(name string) []string {
	switch name {
	case "log.roll.ms", "log.roll.hours":
		return []string{"log.roll.ms", "log.roll.hours"}
	case "log.roll.jitter.ms", "log.roll.jitter.hours":
		return []string{"log.roll.jitter.ms", "log.roll.jitter.hours"}
	case "log.flush.interval.ms":
		return []string{"log.flush.interval.ms", "log.flush.scheduler.interval.ms"}
	case "log.retention.ms", "log.retention.minutes", "log.retention.hours":
		return []string{"log.retention.ms", "log.retention.minutes", "log.retention.hours"}
	default:
		return []string{name}
	}
}
