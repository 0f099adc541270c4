package wire

// ProduceRequest asks for record batches to be appended. API key 0, versions 3 to 13.
//
//	v9   flexible
//	v10  leader hints in the response (KIP-951)
//	v13  topics by id instead of name (KIP-516)
type ProduceRequest struct {
	TransactionalID []byte // nil if the producer is not transactional
	Acks            int16  // 0, 1, or -1 for all
	TimeoutMillis   int32
	Topics          []ProduceTopic

	oneTopic [1]ProduceTopic // the usual request needs no memory beside its own
	oneIndex [1]ProducePartition
}

// ProduceTopic is what a ProduceRequest holds for one topic.
type ProduceTopic struct {
	Name       []byte   // up to v12
	ID         [16]byte // from v13
	Partitions []ProducePartition
}

// ProducePartition is what a ProduceRequest holds for one partition.
type ProducePartition struct {
	Index   int32
	Records []byte // record batches, one behind the other, in the frame; nil if null
}

// Decode reads a body; the request refers to it afterwards. A decoded request must not be copied.
func (r *ProduceRequest) Decode(body []byte, version int16) error {
	d := reader{src: body, flexible: version >= 9}
	r.TransactionalID = d.nullableString()
	r.Acks = d.int16()
	r.TimeoutMillis = d.int32()
	r.Topics = take(&r.oneTopic, d.array(3))
	for i := range r.Topics {
		t := &r.Topics[i]
		if version <= 12 {
			t.Name = d.string()
		} else {
			t.ID = d.uuid()
		}
		n := d.array(6)
		if i == 0 {
			t.Partitions = take(&r.oneIndex, n)
		} else {
			t.Partitions = make([]ProducePartition, n)
		}
		for j := range t.Partitions {
			t.Partitions[j] = ProducePartition{Index: d.int32(), Records: d.nullableBytes()}
			d.skipTags()
		}
		d.skipTags()
		if d.failed {
			break
		}
	}
	d.skipTags()
	return d.err()
}

// AppendTo writes the request's body.
func (r *ProduceRequest) AppendTo(dst []byte, version int16) []byte {
	w := writer{dst: dst, flexible: version >= 9}
	w.nullableStringBytes(r.TransactionalID)
	w.int16(r.Acks)
	w.int32(r.TimeoutMillis)
	w.length(len(r.Topics))
	for i := range r.Topics {
		t := &r.Topics[i]
		if version <= 12 {
			w.stringBytes(t.Name)
		} else {
			w.uuid(t.ID)
		}
		w.length(len(t.Partitions))
		for j := range t.Partitions {
			w.int32(t.Partitions[j].Index)
			w.nullableBytes(t.Partitions[j].Records)
			w.tags(0)
		}
		w.tags(0)
	}
	w.tags(0)
	return w.dst
}

// ProduceResponse answers a ProduceRequest.
type ProduceResponse struct {
	Topics         []ProduceTopicResult
	ThrottleMillis int32
	Endpoints      []NodeEndpoint // from v10: addresses of the leaders that partitions name
}

// ProduceTopicResult is the answer for one topic.
type ProduceTopicResult struct {
	Name       string   // up to v12
	ID         [16]byte // from v13
	Partitions []ProduceResult
}

// ProduceResult is the answer for one partition; see NewProduceResult.
type ProduceResult struct {
	Index         int32
	Error         ErrorCode
	BaseOffset    int64           // offset of the first record; -1 with an error
	LogAppendTime int64           // -1 unless the topic stamps records itself
	LogStart      int64           // from v5; -1 if not known
	RecordErrors  []RecordError   // from v8
	Message       *string         // from v8
	Leader        *LeaderAndEpoch // from v10, with NotLeaderOrFollower
}

// NewProduceResult is the answer of a partition that has appended nothing.
func NewProduceResult(index int32, code ErrorCode) ProduceResult {
	return ProduceResult{Index: index, Error: code, BaseOffset: -1, LogAppendTime: -1, LogStart: -1}
}

// RecordError says which record of a batch was refused.
type RecordError struct {
	BatchIndex int32 // counted from the first record of the batch
	Message    *string
}

// LeaderAndEpoch tells a client where the leader went (KIP-951).
type LeaderAndEpoch struct {
	ID    int32 // -1 if there is none
	Epoch int32
}

// NodeEndpoint is the address of a broker (KIP-951).
type NodeEndpoint struct {
	ID   int32
	Host string
	Port int32
	Rack *string
}

// AppendTo writes the response's body.
func (r *ProduceResponse) AppendTo(dst []byte, version int16) []byte {
	w := writer{dst: dst, flexible: version >= 9}
	w.length(len(r.Topics))
	for i := range r.Topics {
		t := &r.Topics[i]
		if version <= 12 {
			w.string(t.Name)
		} else {
			w.uuid(t.ID)
		}
		w.length(len(t.Partitions))
		for j := range t.Partitions {
			t.Partitions[j].write(&w, version)
		}
		w.tags(0)
	}
	w.int32(r.ThrottleMillis)
	if version >= 10 {
		w.endpoints(0, r.Endpoints)
	} else {
		w.tags(0)
	}
	return w.dst
}

func (p *ProduceResult) write(w *writer, version int16) {
	w.int32(p.Index)
	w.code(p.Error)
	w.int64(p.BaseOffset)
	w.int64(p.LogAppendTime)
	if version >= 5 {
		w.int64(p.LogStart)
	}
	if version >= 8 {
		w.length(len(p.RecordErrors))
		for _, e := range p.RecordErrors {
			w.int32(e.BatchIndex)
			w.nullableString(e.Message)
			w.tags(0)
		}
		w.nullableString(p.Message)
	}
	if version >= 10 && p.Leader != nil {
		w.tags(1)
		w.leader(0, *p.Leader)
	} else {
		w.tags(0)
	}
}

// Decode reads a response's body. Its strings and slices are copies.
func (r *ProduceResponse) Decode(body []byte, version int16) error {
	d := reader{src: body, flexible: version >= 9}
	r.Topics = make([]ProduceTopicResult, d.array(3))
	for i := range r.Topics {
		t := &r.Topics[i]
		if version <= 12 {
			t.Name = string(d.string())
		} else {
			t.ID = d.uuid()
		}
		t.Partitions = make([]ProduceResult, d.array(22))
		for j := range t.Partitions {
			t.Partitions[j].read(&d, version)
		}
		d.skipTags()
		if d.failed {
			break
		}
	}
	r.ThrottleMillis = d.int32()
	r.Endpoints = nil
	for range d.tags() {
		if number, c := d.tag(); number == 0 && version >= 10 {
			r.Endpoints = c.endpoints()
			d.join(&c)
		}
	}
	return d.err()
}

func (p *ProduceResult) read(d *reader, version int16) {
	*p = NewProduceResult(d.int32(), ErrorCode(d.int16()))
	p.BaseOffset = d.int64()
	p.LogAppendTime = d.int64()
	if version >= 5 {
		p.LogStart = d.int64()
	}
	if version >= 8 {
		for range d.array(5) {
			p.RecordErrors = append(p.RecordErrors, RecordError{BatchIndex: d.int32(), Message: copied(d.nullableString())})
			d.skipTags()
		}
		p.Message = copied(d.nullableString())
	}
	for range d.tags() {
		if number, c := d.tag(); number == 0 && version >= 10 {
			p.Leader = c.leader()
			d.join(&c)
		}
	}
}
