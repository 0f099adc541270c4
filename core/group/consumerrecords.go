package group

import (
	"slices"

	"lignum/core/coordinator"
)

// The values of the consumer protocol's records are all of version 0, which is flexible.

func newValue() writer {
	w := writer{flexible: true}
	w.int16(0)
	return w
}

func oldValue(p []byte) reader {
	r := reader{p: p, flexible: true}
	r.int16()
	return r
}

// tagHash is the tagged field with the hash of a group's topics, in the record of its epoch.
const tagHash = 0

func epochRecord(group string, epoch int32, hash int64) coordinator.Record {
	w := newValue()
	w.int32(epoch)
	if hash == 0 {
		w.noTags()
	} else {
		w.tagCount(1)
		w.uvarint(tagHash)
		w.uvarint(8)
		w.int64(hash)
	}
	return coordinator.Record{Key: key{version: keyConsumerEpoch, group: group}.encode(), Value: w.p}
}

func targetEpochRecord(group string, epoch int32) coordinator.Record {
	w := newValue()
	w.int32(epoch)
	w.noTags()
	return coordinator.Record{Key: key{version: keyTargetEpoch, group: group}.encode(), Value: w.p}
}

// decodeEpoch reads either; of nothing it makes zeros.
func decodeEpoch(p []byte) (epoch int32, hash int64, err error) {
	if p == nil {
		return 0, 0, nil
	}
	r := oldValue(p)
	epoch = r.int32()
	r.tags(func(tag int, v *reader) {
		if tag == tagHash && len(v.p) == 8 {
			hash = v.int64()
		}
	})
	return epoch, hash, r.err()
}

func memberRecord(group, member string, f *facts) coordinator.Record {
	return coordinator.Record{Key: key{version: keyConsumerMember, group: group, name: member}.encode(), Value: f.encode()}
}

func (f *facts) encode() []byte {
	w := newValue()
	w.maybeString(f.instance)
	w.maybeString(f.rack)
	w.string(f.clientID)
	w.string(f.host)
	w.count(len(f.topics))
	for _, t := range f.topics {
		w.string(t)
	}
	w.maybeString(f.regex)
	w.int32(f.rebalanceTimeout)
	w.maybeString(f.assignor)
	if f.classic == nil {
		w.noTags()
		return w.p
	}
	inner := writer{flexible: true}
	inner.int8(1) // not null
	inner.int32(f.classic.sessionTimeout)
	inner.count(len(f.classic.protocols))
	for _, p := range f.classic.protocols {
		inner.string(p.Name)
		inner.bytes(p.Metadata)
		inner.noTags()
	}
	inner.noTags()
	w.tagCount(1)
	w.uvarint(0)
	w.uvarint(len(inner.p))
	w.p = append(w.p, inner.p...)
	return w.p
}

func decodeFacts(p []byte) (facts, error) {
	r := oldValue(p)
	f := facts{instance: r.string(), rack: r.string(), clientID: r.string(), host: r.string()}
	for n := r.count(1); n > 0 && !r.failed; n-- {
		f.topics = append(f.topics, r.string())
	}
	slices.Sort(f.topics)
	f.regex = r.string()
	f.rebalanceTimeout = r.int32()
	f.assignor = r.string()
	r.tags(func(tag int, v *reader) {
		if tag != 0 || v.int8() < 0 {
			return
		}
		f.classic = &classicFacts{sessionTimeout: v.int32()}
		for n := v.count(2); n > 0 && !v.failed; n-- {
			p := Protocol{Name: v.string(), Metadata: v.bytes()}
			v.tags(nil)
			f.classic.protocols = append(f.classic.protocols, p)
		}
		v.tags(nil)
	})
	return f, r.err()
}

func targetRecord(group, member string, p parts) coordinator.Record {
	w := newValue()
	w.parts(p)
	w.noTags()
	return coordinator.Record{Key: key{version: keyTargetMember, group: group, name: member}.encode(), Value: w.p}
}

func decodeTarget(p []byte) (parts, error) {
	r := oldValue(p)
	out := r.parts()
	r.tags(nil)
	return out, r.err()
}

func currentRecord(group, member string, c *current) coordinator.Record {
	w := newValue()
	w.int32(c.epoch)
	w.int32(c.previous)
	w.int8(int8(c.state))
	w.parts(c.assigned)
	w.parts(c.revoking)
	w.noTags()
	return coordinator.Record{Key: key{version: keyCurrentMember, group: group, name: member}.encode(), Value: w.p}
}

func decodeCurrent(p []byte) (current, error) {
	r := oldValue(p)
	c := current{epoch: r.int32(), previous: r.int32(), state: memberState(r.int8())}
	c.assigned, c.revoking = r.parts(), r.parts()
	r.tags(nil)
	return c, r.err()
}

func regexRecord(group, regex string, topics []string, version, timestamp int64) coordinator.Record {
	w := newValue()
	w.count(len(topics))
	for _, t := range topics {
		w.string(t)
	}
	w.int64(version)
	w.int64(timestamp)
	w.noTags()
	return coordinator.Record{Key: key{version: keyRegex, group: group, name: regex}.encode(), Value: w.p}
}

func decodeRegex(p []byte) ([]string, error) {
	r := oldValue(p)
	topics := []string{}
	for n := r.count(1); n > 0 && !r.failed; n-- {
		topics = append(topics, r.string())
	}
	slices.Sort(topics)
	r.int64()
	r.int64()
	r.tags(nil)
	return topics, r.err()
}
