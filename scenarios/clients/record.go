package clients

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Record is one record as a client writes it, or as it was read. A nil key, value
// or header value is null.
type Record struct {
	Partition int32    `json:"partition"` // -1: the client's own partitioner decides
	Offset    int64    `json:"offset"`    // -1: not known
	Timestamp int64    `json:"timestamp"` // milliseconds since 1970
	Key       []byte   `json:"key"`
	Value     []byte   `json:"value"`
	Headers   []Header `json:"headers"`
}

// Header is one header of a record.
type Header struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

// String is the record as JSON.
func (r Record) String() string {
	text, err := json.Marshal(r)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// byOffset sorts records by partition, then offset.
func byOffset(records []Record) {
	slices.SortStableFunc(records, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
}

// partitions splits records by partition and keeps their order.
func partitions(records []Record) map[int32][]Record {
	split := map[int32][]Record{}
	for _, r := range records {
		split[r.Partition] = append(split[r.Partition], r)
	}
	return split
}

// Sample builds count records for one partition, a second apart.
func Sample(count int, start int64) []Record {
	return sample(sampleOptions{Count: count, Partitions: 1, Start: start, Step: 1000})
}

// sampleOptions shapes the records that a check writes.
type sampleOptions struct {
	Count      int
	Partitions int
	Start      int64  // timestamp of the first record
	Step       int64  // milliseconds from one record to the next
	Traits     Traits // what the client can express
}

// sample builds records for a round trip, dealt to the partitions by turns: keys
// and none, values and none, long and short, bytes that are no text, headers with
// and without a value.
func sample(o sampleOptions) []Record {
	records := make([]Record, o.Count)
	for i := range records {
		r := &records[i]
		*r = Record{
			Partition: int32(i % o.Partitions),
			Offset:    -1,
			Timestamp: o.Start + int64(i)*o.Step,
			Value:     fmt.Appendf(nil, "value %d ", i),
		}
		if i%3 != 0 {
			r.Key = fmt.Appendf(nil, "key-%d", i%11)
		}
		if i%4 == 1 {
			r.Value = append(r.Value, bytes.Repeat([]byte("0123456789 "), 40)...)
		}
		if i%10 == 7 && r.Key != nil {
			r.Value = nil
		}
		if o.Traits.TextOnly {
			r.Headers = []Header{{Key: "kind", Value: []byte("sample")}, {Key: "kind", Value: []byte("again")}}
			continue
		}
		if i%5 == 2 {
			r.Value = []byte{0, 1, 0xff, 0xfe, '\n', '\t', 0x80, byte(i)}
		}
		if i%6 == 3 {
			r.Headers = []Header{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte{0xff, 0}}, {Key: "long", Value: bytes.Repeat([]byte{7}, 300)}}
		}
	}
	return records
}

// compare reports the first differences between what was written and what was
// read, partition by partition: content, headers, timestamps and order. Offsets
// are compared where the writer was told them.
func compare(wrote, read []Record, traits Traits) error {
	var faults []error
	want, got := partitions(wrote), partitions(read)
	for p, records := range want {
		if len(got[p]) != len(records) {
			faults = append(faults, fmt.Errorf("partition %d: %d records written, %d read", p, len(records), len(got[p])))
			continue
		}
		for i := range records {
			if err := same(records[i], got[p][i], traits); err != nil {
				faults = append(faults, fmt.Errorf("partition %d, record %d: %w", p, i, err))
				break
			}
		}
	}
	for p := range got {
		if len(want[p]) == 0 {
			faults = append(faults, fmt.Errorf("partition %d: %d records that nobody wrote", p, len(got[p])))
		}
	}
	return errors.Join(faults...)
}

func same(want, got Record, traits Traits) error {
	fault := ""
	switch {
	case want.Offset >= 0 && want.Offset != got.Offset:
		fault = "offset"
	case !equal(want.Key, got.Key):
		fault = "key"
	case !equal(want.Value, got.Value):
		fault = "value"
	case !traits.OwnTime && want.Timestamp != got.Timestamp:
		fault = "timestamp"
	case !slices.EqualFunc(want.Headers, got.Headers, func(a, b Header) bool { return a.Key == b.Key && equal(a.Value, b.Value) }):
		fault = "headers"
	default:
		return nil
	}
	return fmt.Errorf("%s differs: wrote %s, read %s", fault, want, got)
}

// equal tells null from empty.
func equal(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
