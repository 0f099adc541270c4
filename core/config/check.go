package config

import (
	"errors"
	"fmt"
)

// lagFaults checks the compaction lags of a topic or, with a prefix, of a broker's defaults.
func lagFaults(t Topic, prefix string) []error {
	if t.MinCompactionLagMillis <= t.MaxCompactionLagMillis {
		return nil
	}
	return []error{fmt.Errorf("%smin.compaction.lag.ms is %d: want at most %smax.compaction.lag.ms, which is %d",
		prefix, t.MinCompactionLagMillis, prefix, t.MaxCompactionLagMillis)}
}

// CheckTopic checks a topic's own settings against the tables and each other and returns them in canonical form. The error
// joins every fault.
func CheckTopic(own Overrides, below Defaults) (Overrides, error) {
	canonical, faults := checkAgainst(own, topicTable)
	if faults == nil {
		faults = lagFaults(NewTopic(canonical, below), "")
	}
	return canonical, errors.Join(faults...)
}

// CheckBroker checks settings that are to be altered while brokers run, for one broker (PerBroker) or for all
// (ClusterWide), and returns them in canonical form. The error joins every fault.
func CheckBroker(altered Overrides, scope Scope) (Overrides, error) {
	canonical, faults := checkAgainst(altered, brokerTable)
	for _, s := range canonical {
		switch key := BrokerKey(s.Key); {
		case key.Scope == Static:
			faults = append(faults, fmt.Errorf("%s cannot be altered while the broker runs; set it in the configuration file and restart", s.Key))
		case key.Scope == PerBroker && scope == ClusterWide:
			faults = append(faults, fmt.Errorf("%s cannot be altered for all brokers at once; name a broker", s.Key))
		}
	}
	return canonical, errors.Join(faults...)
}

// maxValue bounds a value that is set by request, as with Apache Kafka: some versions of the answers that show it have 16 bits for its length.
const maxValue = 32767

func tooLong(key string, n int) error {
	return fmt.Errorf("the value of %s has %d bytes, at most %d are allowed", key, n, maxValue)
}

func checkAgainst(given Overrides, table []Key) (Overrides, []error) {
	var canonical Overrides
	var faults []error
	for _, s := range given {
		key := find(table, s.Key)
		if key == nil {
			faults = append(faults, unknown(s.Key, table))
			continue
		}
		if len(s.Value) > maxValue {
			faults = append(faults, tooLong(s.Key, len(s.Value)))
			continue
		}
		value, err := key.Canonical(s.Value)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		canonical = append(canonical, Setting{s.Key, value})
	}
	return canonical, faults
}
