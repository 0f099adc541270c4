package wire

import "math"

// FetchRequest asks for record batches. API key 1, versions 4 to 18.
//
//	v5   log start offset of a follower
//	v7   fetch sessions and forgotten topics (KIP-227)
//	v9   leader epoch of the asker (KIP-320)
//	v11  rack (KIP-392)
//	v12  flexible; last fetched epoch (KIP-595)
//	v13  topics by id (KIP-516)
//	v15  the replica's epoch beside its id (KIP-903)
//	v17  directory id of the replica (KIP-853)
//	v18  high watermark of the follower (KIP-1166)
type FetchRequest struct {
	ClusterID      []byte // from v12; nil if not given
	ReplicaID      int32  // -1 if a consumer asks
	ReplicaEpoch   int64  // from v15: broker epoch of the follower; -1 if not given
	MaxWaitMillis  int32
	MinBytes       int32
	MaxBytes       int32
	IsolationLevel int8  // 0 read uncommitted, 1 read committed
	SessionID      int32 // from v7; 0 without a session
	SessionEpoch   int32 // from v7; -1 without a session
	Topics         []FetchTopic
	Forgotten      []ForgottenTopic // from v7
	Rack           []byte           // from v11

	oneTopic     [1]FetchTopic // the usual request needs no memory beside its own
	onePartition [1]FetchPartition
}

// FetchTopic is what a FetchRequest asks of one topic.
type FetchTopic struct {
	Name       []byte   // up to v12
	ID         [16]byte // from v13
	Partitions []FetchPartition
}

// FetchPartition is what a FetchRequest asks of one partition.
type FetchPartition struct {
	Index            int32
	LeaderEpoch      int32 // from v9; -1 if the asker does not know it
	FetchOffset      int64
	LastFetchedEpoch int32 // from v12; -1 if not given
	LogStart         int64 // from v5: log start of a follower; -1 from a consumer
	MaxBytes         int32
	DirectoryID      [16]byte // from v17
	HighWatermark    int64    // from v18; math.MaxInt64 if not given
}

// ForgottenTopic names partitions that leave the session.
type ForgottenTopic struct {
	Name       []byte   // up to v12
	ID         [16]byte // from v13
	Partitions []int32
}

// Decode reads a body; the request refers to it afterwards. A decoded request must not be copied.
func (r *FetchRequest) Decode(body []byte, version int16) error {
	d := reader{src: body, flexible: version >= 12}
	r.ClusterID, r.Rack, r.Forgotten = nil, nil, nil
	r.ReplicaID, r.ReplicaEpoch = -1, -1
	r.SessionID, r.SessionEpoch = 0, -1
	if version <= 14 {
		r.ReplicaID = d.int32()
	}
	r.MaxWaitMillis = d.int32()
	r.MinBytes = d.int32()
	r.MaxBytes = d.int32()
	r.IsolationLevel = d.int8()
	if version >= 7 {
		r.SessionID = d.int32()
		r.SessionEpoch = d.int32()
	}
	r.readTopics(&d, version)
	if version >= 7 {
		r.readForgotten(&d, version)
	}
	if version >= 11 {
		r.Rack = d.string()
	}
	r.readTags(&d, version)
	return d.err()
}

func (r *FetchRequest) readTopics(d *reader, version int16) {
	r.Topics = take(&r.oneTopic, d.array(3))
	for i := range r.Topics {
		t := &r.Topics[i]
		if version <= 12 {
			t.Name = d.string()
		} else {
			t.ID = d.uuid()
		}
		n := d.array(16)
		if i == 0 {
			t.Partitions = take(&r.onePartition, n)
		} else {
			t.Partitions = make([]FetchPartition, n)
		}
		for j := range t.Partitions {
			t.Partitions[j].read(d, version)
		}
		d.skipTags()
		if d.failed {
			return
		}
	}
}

func (p *FetchPartition) read(d *reader, version int16) {
	*p = FetchPartition{LeaderEpoch: -1, LastFetchedEpoch: -1, LogStart: -1, HighWatermark: math.MaxInt64}
	p.Index = d.int32()
	if version >= 9 {
		p.LeaderEpoch = d.int32()
	}
	p.FetchOffset = d.int64()
	if version >= 12 {
		p.LastFetchedEpoch = d.int32()
	}
	if version >= 5 {
		p.LogStart = d.int64()
	}
	p.MaxBytes = d.int32()
	for range d.tags() {
		number, c := d.tag()
		switch {
		case number == 0 && version >= 17:
			p.DirectoryID = c.uuid()
		case number == 1 && version >= 18:
			p.HighWatermark = c.int64()
		}
		d.join(&c)
	}
}

func (r *FetchRequest) readForgotten(d *reader, version int16) {
	n := d.array(3)
	if n == 0 {
		return
	}
	r.Forgotten = make([]ForgottenTopic, n)
	for i := range r.Forgotten {
		t := &r.Forgotten[i]
		if version <= 12 {
			t.Name = d.string()
		} else {
			t.ID = d.uuid()
		}
		t.Partitions = d.int32s()
		d.skipTags()
		if d.failed {
			return
		}
	}
}

func (r *FetchRequest) readTags(d *reader, version int16) {
	for range d.tags() {
		number, c := d.tag()
		switch {
		case number == 0:
			r.ClusterID = c.nullableString()
		case number == 1 && version >= 15:
			r.ReplicaID = c.int32()
			r.ReplicaEpoch = c.int64()
			c.skipTags()
		}
		d.join(&c)
	}
}

// AppendTo writes the request's body.
func (r *FetchRequest) AppendTo(dst []byte, version int16) []byte {
	w := writer{dst: dst, flexible: version >= 12}
	if version <= 14 {
		w.int32(r.ReplicaID)
	}
	w.int32(r.MaxWaitMillis)
	w.int32(r.MinBytes)
	w.int32(r.MaxBytes)
	w.int8(r.IsolationLevel)
	if version >= 7 {
		w.int32(r.SessionID)
		w.int32(r.SessionEpoch)
	}
	w.length(len(r.Topics))
	for i := range r.Topics {
		t := &r.Topics[i]
		w.topic(t.Name, t.ID, version <= 12)
		w.length(len(t.Partitions))
		for j := range t.Partitions {
			t.Partitions[j].write(&w, version)
		}
		w.tags(0)
	}
	if version >= 7 {
		w.length(len(r.Forgotten))
		for i := range r.Forgotten {
			t := &r.Forgotten[i]
			w.topic(t.Name, t.ID, version <= 12)
			w.int32s(t.Partitions)
			w.tags(0)
		}
	}
	if version >= 11 {
		w.stringBytes(r.Rack)
	}
	r.writeTags(&w, version)
	return w.dst
}

// topic writes what names a topic: its name in older versions, its id in newer ones.
func (w *writer) topic(name []byte, id [16]byte, named bool) {
	if named {
		w.stringBytes(name)
	} else {
		w.uuid(id)
	}
}

func (p *FetchPartition) write(w *writer, version int16) {
	w.int32(p.Index)
	if version >= 9 {
		w.int32(p.LeaderEpoch)
	}
	w.int64(p.FetchOffset)
	if version >= 12 {
		w.int32(p.LastFetchedEpoch)
	}
	if version >= 5 {
		w.int64(p.LogStart)
	}
	w.int32(p.MaxBytes)
	directory := version >= 17 && p.DirectoryID != [16]byte{}
	mark := version >= 18 && p.HighWatermark != math.MaxInt64
	w.tags(count(directory, mark))
	if directory {
		w.tag(0, 16)
		w.uuid(p.DirectoryID)
	}
	if mark {
		w.tag(1, 8)
		w.int64(p.HighWatermark)
	}
}

func (r *FetchRequest) writeTags(w *writer, version int16) {
	cluster := version >= 12 && r.ClusterID != nil
	replica := version >= 15 && (r.ReplicaID != -1 || r.ReplicaEpoch != -1)
	w.tags(count(cluster, replica))
	if cluster {
		w.tag(0, compactLength(len(r.ClusterID)+1)+len(r.ClusterID))
		w.stringBytes(r.ClusterID)
	}
	if replica {
		w.tag(1, 4+8+1)
		w.int32(r.ReplicaID)
		w.int64(r.ReplicaEpoch)
		w.tags(0)
	}
}

// count returns how many of the flags are set.
func count(flags ...bool) int {
	n := 0
	for _, set := range flags {
		if set {
			n++
		}
	}
	return n
}
