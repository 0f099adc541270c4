package wire

// FetchResponse answers a FetchRequest.
//
//	v5   log start offset
//	v7   error and session of the whole response
//	v11  preferred read replica
//	v12  flexible; diverging epoch, current leader and snapshot of a partition, as tagged fields
//	v13  topics by id
//	v16  addresses of the leaders that partitions name (KIP-951)
type FetchResponse struct {
	ThrottleMillis int32
	Error          ErrorCode // from v7
	SessionID      int32     // from v7
	Topics         []FetchTopicResult
	Endpoints      []NodeEndpoint // from v16
}

// FetchTopicResult is the answer for one topic.
type FetchTopicResult struct {
	Name       string   // up to v12
	ID         [16]byte // from v13
	Partitions []FetchResult
}

// FetchResult is the answer for one partition; see NewFetchResult.
type FetchResult struct {
	Index         int32
	Error         ErrorCode
	HighWatermark int64
	LastStable    int64
	LogStart      int64                // from v5
	Aborted       []AbortedTransaction // nil is null, which is what a reader of uncommitted records gets
	Preferred     int32                // from v11: node to read from instead; -1 for none
	Diverging     *EpochEnd            // from v12
	Leader        *LeaderAndEpoch      // from v12
	Snapshot      *EpochEnd            // from v12

	// Records are the batches if they are at hand as one slice. A writer that holds them in pieces leaves it empty and
	// says in RecordBytes how many there are; see AppendTo.
	Records     []byte
	RecordBytes int
}

// NewFetchResult is the answer of a partition without records: no offset known, no other replica preferred.
func NewFetchResult(index int32, code ErrorCode) FetchResult {
	return FetchResult{Index: index, Error: code, HighWatermark: -1, LastStable: -1, LogStart: -1, Preferred: -1}
}

// AbortedTransaction tells a reader of committed records what to leave out.
type AbortedTransaction struct {
	ProducerID  int64
	FirstOffset int64
}

// EpochEnd is the end of a leader epoch in a log.
type EpochEnd struct {
	Epoch     int32
	EndOffset int64
}

// AppendTo writes the response's body. Where the records of a partition with RecordBytes belong, records is called
// with all that was written so far; it adds them, or notes that they come in here, and returns what to append
// to. It may be nil if no partition has RecordBytes.
func (r *FetchResponse) AppendTo(dst []byte, version int16, records func(dst []byte, topic, partition int) []byte) []byte {
	w := writer{dst: dst, flexible: version >= 12}
	w.int32(r.ThrottleMillis)
	if version >= 7 {
		w.code(r.Error)
		w.int32(r.SessionID)
	}
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
			p := &t.Partitions[j]
			p.writeHead(&w, version)
			if p.RecordBytes > 0 {
				w.length(p.RecordBytes)
				w.dst = records(w.dst, i, j)
			} else {
				w.length(len(p.Records))
				w.dst = append(w.dst, p.Records...)
			}
			p.writeTags(&w, version)
		}
		w.tags(0)
	}
	if version >= 16 {
		w.endpoints(0, r.Endpoints)
	} else {
		w.tags(0)
	}
	return w.dst
}

// RecordBytes is the sum of what AppendTo leaves to its caller.
func (r *FetchResponse) RecordBytes() int64 {
	n := int64(0)
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			n += int64(r.Topics[i].Partitions[j].RecordBytes)
		}
	}
	return n
}

func (p *FetchResult) writeHead(w *writer, version int16) {
	w.int32(p.Index)
	w.code(p.Error)
	w.int64(p.HighWatermark)
	w.int64(p.LastStable)
	if version >= 5 {
		w.int64(p.LogStart)
	}
	if p.Aborted == nil {
		w.length(-1)
	} else {
		w.length(len(p.Aborted))
	}
	for _, a := range p.Aborted {
		w.int64(a.ProducerID)
		w.int64(a.FirstOffset)
		w.tags(0)
	}
	if version >= 11 {
		w.int32(p.Preferred)
	}
}

func (p *FetchResult) writeTags(w *writer, version int16) {
	if version < 12 {
		return
	}
	w.tags(count(p.Diverging != nil, p.Leader != nil, p.Snapshot != nil))
	if e := p.Diverging; e != nil {
		w.tag(0, 4+8+1)
		w.int32(e.Epoch)
		w.int64(e.EndOffset)
		w.tags(0)
	}
	if p.Leader != nil {
		w.leader(1, *p.Leader)
	}
	if e := p.Snapshot; e != nil {
		w.tag(2, 8+4+1)
		w.int64(e.EndOffset)
		w.int32(e.Epoch)
		w.tags(0)
	}
}

// Decode reads a response's body. The records stay slices of it; all else is copied.
func (r *FetchResponse) Decode(body []byte, version int16) error {
	d := reader{src: body, flexible: version >= 12}
	*r = FetchResponse{ThrottleMillis: d.int32()}
	if version >= 7 {
		r.Error = ErrorCode(d.int16())
		r.SessionID = d.int32()
	}
	r.Topics = make([]FetchTopicResult, d.array(3))
	for i := range r.Topics {
		t := &r.Topics[i]
		if version <= 12 {
			t.Name = string(d.string())
		} else {
			t.ID = d.uuid()
		}
		t.Partitions = make([]FetchResult, d.array(30))
		for j := range t.Partitions {
			t.Partitions[j].read(&d, version)
		}
		d.skipTags()
		if d.failed {
			break
		}
	}
	for range d.tags() {
		number, c := d.tag()
		if number == 0 && version >= 16 {
			r.Endpoints = c.endpoints()
		}
		d.join(&c)
	}
	return d.err()
}

func (p *FetchResult) read(d *reader, version int16) {
	*p = NewFetchResult(d.int32(), ErrorCode(d.int16()))
	p.HighWatermark = d.int64()
	p.LastStable = d.int64()
	if version >= 5 {
		p.LogStart = d.int64()
	}
	if n := d.nullableArray(16); n >= 0 {
		p.Aborted = make([]AbortedTransaction, n)
	}
	for i := range p.Aborted {
		p.Aborted[i] = AbortedTransaction{ProducerID: d.int64(), FirstOffset: d.int64()}
		d.skipTags()
	}
	if version >= 11 {
		p.Preferred = d.int32()
	}
	p.Records = d.nullableBytes()
	for range d.tags() {
		number, c := d.tag()
		switch number {
		case 0:
			p.Diverging = &EpochEnd{Epoch: c.int32(), EndOffset: c.int64()}
			c.skipTags()
		case 1:
			p.Leader = c.leader()
		case 2:
			p.Snapshot = &EpochEnd{EndOffset: c.int64(), Epoch: c.int32()}
			c.skipTags()
		}
		d.join(&c)
	}
}
