package wire

// The timestamps that ask ListOffsets for a special place instead of a time.
const (
	LatestTimestamp        = -1
	EarliestTimestamp      = -2
	MaxTimestamp           = -3 // from v7
	EarliestLocalTimestamp = -4 // from v8
	LatestTieredTimestamp  = -5 // from v9
	EarliestPendingUpload  = -6 // from v11
)

// ListOffsetsRequest asks where in a log a point in time is. API key 2, versions 1 to 11.
//
//	v2   isolation level
//	v4   leader epochs
//	v6   flexible
//	v10  timeout, for lookups in remote storage
type ListOffsetsRequest struct {
	ReplicaID      int32 // -1 if a consumer asks
	IsolationLevel int8  // from v2
	Topics         []ListOffsetsTopic
	TimeoutMillis  int32 // from v10

	oneTopic     [1]ListOffsetsTopic // the usual request needs no memory beside its own
	onePartition [1]ListOffsetsPartition
}

// ListOffsetsTopic is what a ListOffsetsRequest asks of one topic.
type ListOffsetsTopic struct {
	Name       []byte
	Partitions []ListOffsetsPartition
}

// ListOffsetsPartition is what a ListOffsetsRequest asks of one partition.
type ListOffsetsPartition struct {
	Index       int32
	LeaderEpoch int32 // from v4; -1 if the asker does not know it
	Timestamp   int64 // milliseconds, or one of the special places
}

// Decode reads a body; the request refers to it afterwards. A decoded request must not be copied.
func (r *ListOffsetsRequest) Decode(body []byte, version int16) error {
	d := reader{src: body, flexible: version >= 6}
	r.IsolationLevel, r.TimeoutMillis = 0, 0
	r.ReplicaID = d.int32()
	if version >= 2 {
		r.IsolationLevel = d.int8()
	}
	r.Topics = take(&r.oneTopic, d.array(3))
	for i := range r.Topics {
		t := &r.Topics[i]
		t.Name = d.string()
		n := d.array(12)
		if i == 0 {
			t.Partitions = take(&r.onePartition, n)
		} else {
			t.Partitions = make([]ListOffsetsPartition, n)
		}
		for j := range t.Partitions {
			p := ListOffsetsPartition{Index: d.int32(), LeaderEpoch: -1}
			if version >= 4 {
				p.LeaderEpoch = d.int32()
			}
			p.Timestamp = d.int64()
			d.skipTags()
			t.Partitions[j] = p
		}
		d.skipTags()
		if d.failed {
			break
		}
	}
	if version >= 10 {
		r.TimeoutMillis = d.int32()
	}
	d.skipTags()
	return d.err()
}

// AppendTo writes the request's body.
func (r *ListOffsetsRequest) AppendTo(dst []byte, version int16) []byte {
	w := writer{dst: dst, flexible: version >= 6}
	w.int32(r.ReplicaID)
	if version >= 2 {
		w.int8(r.IsolationLevel)
	}
	w.length(len(r.Topics))
	for i := range r.Topics {
		t := &r.Topics[i]
		w.stringBytes(t.Name)
		w.length(len(t.Partitions))
		for _, p := range t.Partitions {
			w.int32(p.Index)
			if version >= 4 {
				w.int32(p.LeaderEpoch)
			}
			w.int64(p.Timestamp)
			w.tags(0)
		}
		w.tags(0)
	}
	if version >= 10 {
		w.int32(r.TimeoutMillis)
	}
	w.tags(0)
	return w.dst
}

// ListOffsetsResponse answers a ListOffsetsRequest.
type ListOffsetsResponse struct {
	ThrottleMillis int32 // from v2
	Topics         []ListOffsetsTopicResult
}

// ListOffsetsTopicResult is the answer for one topic.
type ListOffsetsTopicResult struct {
	Name       string
	Partitions []ListOffsetsResult
}

// ListOffsetsResult is the answer for one partition; see NewListOffsetsResult.
type ListOffsetsResult struct {
	Index       int32
	Error       ErrorCode
	Timestamp   int64 // of the record at Offset; -1 for none and for the log's ends
	Offset      int64 // -1 for none
	LeaderEpoch int32 // from v4: epoch of the record at Offset; -1 for none
}

// NewListOffsetsResult is the answer that found nothing.
func NewListOffsetsResult(index int32, code ErrorCode) ListOffsetsResult {
	return ListOffsetsResult{Index: index, Error: code, Timestamp: -1, Offset: -1, LeaderEpoch: -1}
}

// AppendTo writes the response's body.
func (r *ListOffsetsResponse) AppendTo(dst []byte, version int16) []byte {
	w := writer{dst: dst, flexible: version >= 6}
	if version >= 2 {
		w.int32(r.ThrottleMillis)
	}
	w.length(len(r.Topics))
	for i := range r.Topics {
		t := &r.Topics[i]
		w.string(t.Name)
		w.length(len(t.Partitions))
		for _, p := range t.Partitions {
			w.int32(p.Index)
			w.code(p.Error)
			w.int64(p.Timestamp)
			w.int64(p.Offset)
			if version >= 4 {
				w.int32(p.LeaderEpoch)
			}
			w.tags(0)
		}
		w.tags(0)
	}
	w.tags(0)
	return w.dst
}

// Decode reads a response's body. Its strings and slices are copies.
func (r *ListOffsetsResponse) Decode(body []byte, version int16) error {
	d := reader{src: body, flexible: version >= 6}
	r.ThrottleMillis = 0
	if version >= 2 {
		r.ThrottleMillis = d.int32()
	}
	r.Topics = make([]ListOffsetsTopicResult, d.array(3))
	for i := range r.Topics {
		t := &r.Topics[i]
		t.Name = string(d.string())
		t.Partitions = make([]ListOffsetsResult, d.array(22))
		for j := range t.Partitions {
			p := NewListOffsetsResult(d.int32(), ErrorCode(d.int16()))
			p.Timestamp = d.int64()
			p.Offset = d.int64()
			if version >= 4 {
				p.LeaderEpoch = d.int32()
			}
			d.skipTags()
			t.Partitions[j] = p
		}
		d.skipTags()
		if d.failed {
			break
		}
	}
	d.skipTags()
	return d.err()
}
