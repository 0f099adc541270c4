package checkpoint

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"lignum/core/record"
)

// EncodePartition makes a partition.metadata: the lines "version: 0" and "topic_id: " with the id's text, and a seal that Kafka does not read.
func EncodePartition(topic record.TopicID) []byte {
	text := "version: 0\ntopic_id: " + topic.String()
	return []byte(text + "\n" + sealedLine + sum(text))
}

// ParsePartition reads a partition.metadata.
func ParsePartition(p []byte) (record.TopicID, error) {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(string(p), "\r\n", "\n"), "\r\n"), "\n")
	if len(lines) == 3 {
		seal, ok := strings.CutPrefix(lines[2], sealedLine)
		if !ok {
			return record.TopicID{}, fmt.Errorf("%w: %.40q, want %s", ErrCorrupt, lines[2], sealedLine)
		}
		if err := checkSum(seal, lines[0]+"\n"+lines[1]); err != nil {
			return record.TopicID{}, err
		}
	} else if len(lines) != 2 {
		return record.TopicID{}, fmt.Errorf("%w: %d lines, want 2 or 3", ErrCorrupt, len(lines))
	}
	version, ok := strings.CutPrefix(strings.TrimSpace(lines[0]), "version:")
	if !ok || strings.TrimSpace(version) != "0" {
		return record.TopicID{}, fmt.Errorf("%w: %.40q, want version: 0", ErrCorrupt, lines[0])
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(lines[1]), "topic_id:")
	if !ok {
		return record.TopicID{}, fmt.Errorf("%w: %.40q, want topic_id", ErrCorrupt, lines[1])
	}
	topic, err := record.ParseTopicID(strings.TrimSpace(text))
	if err != nil {
		return record.TopicID{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if topic.IsZero() {
		return record.TopicID{}, fmt.Errorf("%w: the topic id is zero", ErrCorrupt)
	}
	return topic, nil
}

// NoBrokerEpoch is the epoch of a marker that does not say.
const NoBrokerEpoch int64 = -1

// EncodeCleanShutdown makes the marker of a clean stop: a JSON object with the version (0) and the broker epoch under
// which the broker ran.
func EncodeCleanShutdown(brokerEpoch int64) []byte {
	return []byte(`{"version":0,"brokerEpoch":` + strconv.FormatInt(brokerEpoch, 10) + `}`)
}

// ParseCleanShutdown reads the marker's broker epoch. Older brokers leave an empty file, which has none.
func ParseCleanShutdown(p []byte) (brokerEpoch int64, err error) {
	if len(p) == 0 {
		return NoBrokerEpoch, nil
	}
	brokerEpoch = NoBrokerEpoch
	err = parseObject(string(p), func(key, value string) error {
		if key != "brokerEpoch" || value == "null" {
			return nil // later versions only add to it
		}
		n, err := strconv.ParseInt(value, 10, 64)
		brokerEpoch = n
		return err
	})
	if err != nil {
		return NoBrokerEpoch, fmt.Errorf("%w: %.100q: %w", ErrCorrupt, p, err)
	}
	return brokerEpoch, nil
}

var errObject = errors.New("not a flat JSON object")

// parseObject reads a JSON object of numbers, words and plain strings, which is all that the marker has ever held.
func parseObject(s string, field func(key, value string) error) error {
	const space = " \t\r\n"
	s = strings.Trim(s, space)
	s, open := strings.CutPrefix(s, "{")
	s, closed := strings.CutSuffix(s, "}")
	if !open || !closed {
		return errObject
	}
	for s = strings.Trim(s, space); s != ""; {
		key, rest, ok := cutString(s)
		if !ok {
			return errObject
		}
		rest, ok = strings.CutPrefix(strings.TrimLeft(rest, space), ":")
		if !ok {
			return errObject
		}
		rest = strings.TrimLeft(rest, space)
		value, after, isString := cutString(rest)
		if !isString {
			n := strings.IndexAny(rest, ","+space)
			if n < 0 {
				n = len(rest)
			}
			value, after = rest[:n], rest[n:]
			if value == "" || strings.ContainsAny(value, `{}[]":`) {
				return errObject
			}
		}
		if err := field(key, value); err != nil {
			return err
		}
		s = strings.TrimLeft(after, space)
		if s == "" {
			return nil
		}
		if s, ok = strings.CutPrefix(s, ","); !ok {
			return errObject
		}
		if s = strings.TrimLeft(s, space); s == "" {
			return errObject
		}
	}
	return nil
}

// cutString takes a string without escapes off s.
func cutString(s string) (content, rest string, ok bool) {
	s, ok = strings.CutPrefix(s, `"`)
	if !ok {
		return "", s, false
	}
	content, rest, ok = strings.Cut(s, `"`)
	return content, rest, ok && !strings.Contains(content, `\`)
}
