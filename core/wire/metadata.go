package wire

// NoOperations is what AuthorizedOperations holds if nobody asked for them.
const NoOperations = -1 << 31

// MetadataRequest asks for brokers and topics. API key 3, versions 0 to 13.
//
//	v1   null instead of an empty list means every topic
//	v4   whether to create missing topics
//	v8   authorized operations
//	v9   flexible
//	v10  topics by id (KIP-516)
//	v11  no operations of the cluster any more
type MetadataRequest struct {
	// AllTopics: Topics is empty and every topic is wanted.
	AllTopics         bool
	Topics            []MetadataTopic
	AllowAutoCreation bool // true before v4
	ClusterOperations bool // v8 to v10
	TopicOperations   bool // from v8

	oneTopic [1]MetadataTopic // the usual request needs no memory beside its own
}

// MetadataTopic names a topic that a MetadataRequest asks for.
type MetadataTopic struct {
	ID   [16]byte // from v10; zero if the topic is asked for by name
	Name []byte   // nil if the topic is asked for by id, from v10
}

// Decode reads a body; the request refers to it afterwards. A decoded request must not be copied.
func (r *MetadataRequest) Decode(body []byte, version int16) error {
	d := reader{src: body, flexible: version >= 9}
	n := d.nullableArray(2)
	if version == 0 && n < 0 {
		d.fail()
	}
	r.AllTopics = n < 0 || version == 0 && n == 0
	r.Topics = take(&r.oneTopic, max(n, 0))
	for i := range r.Topics {
		t := &r.Topics[i]
		if version >= 10 {
			t.ID = d.uuid()
			t.Name = d.nullableString()
		} else {
			t.Name = d.string()
		}
		d.skipTags()
	}
	r.AllowAutoCreation = version < 4 || d.bool()
	r.ClusterOperations = version >= 8 && version <= 10 && d.bool()
	r.TopicOperations = version >= 8 && d.bool()
	d.skipTags()
	return d.err()
}

// AppendTo writes the request's body.
func (r *MetadataRequest) AppendTo(dst []byte, version int16) []byte {
	w := writer{dst: dst, flexible: version >= 9}
	if r.AllTopics && version > 0 {
		w.length(-1)
	} else {
		w.length(len(r.Topics))
	}
	for i := range r.Topics {
		t := &r.Topics[i]
		if version >= 10 {
			w.uuid(t.ID)
			w.nullableStringBytes(t.Name)
		} else {
			w.stringBytes(t.Name)
		}
		w.tags(0)
	}
	if version >= 4 {
		w.bool(r.AllowAutoCreation)
	}
	if version >= 8 && version <= 10 {
		w.bool(r.ClusterOperations)
	}
	if version >= 8 {
		w.bool(r.TopicOperations)
	}
	w.tags(0)
	return w.dst
}

// MetadataResponse answers a MetadataRequest.
type MetadataResponse struct {
	ThrottleMillis    int32          // from v3
	Brokers           []NodeEndpoint // racks from v1
	ClusterID         *string        // from v2
	ControllerID      int32          // from v1; -1 if not known
	Topics            []MetadataTopicResult
	ClusterOperations int32     // v8 to v10; bits, NoOperations if not asked for
	Error             ErrorCode // from v13
}

// MetadataTopicResult is what is known of a topic.
type MetadataTopicResult struct {
	Error      ErrorCode
	Name       *string  // null only from v12 on, for an id that is not known
	ID         [16]byte // from v10
	Internal   bool     // from v1
	Partitions []MetadataPartition
	Operations int32 // from v8; bits, NoOperations if not asked for
}

// MetadataPartition is what is known of a partition.
type MetadataPartition struct {
	Error       ErrorCode
	Index       int32
	Leader      int32 // -1 if there is none
	LeaderEpoch int32 // from v7
	Replicas    []int32
	ISR         []int32
	Offline     []int32 // from v5
}

// AppendTo writes the response's body.
func (r *MetadataResponse) AppendTo(dst []byte, version int16) []byte {
	w := writer{dst: dst, flexible: version >= 9}
	if version >= 3 {
		w.int32(r.ThrottleMillis)
	}
	w.length(len(r.Brokers))
	for i := range r.Brokers {
		b := &r.Brokers[i]
		w.int32(b.ID)
		w.string(b.Host)
		w.int32(b.Port)
		if version >= 1 {
			w.nullableString(b.Rack)
		}
		w.tags(0)
	}
	if version >= 2 {
		w.nullableString(r.ClusterID)
	}
	if version >= 1 {
		w.int32(r.ControllerID)
	}
	w.length(len(r.Topics))
	for i := range r.Topics {
		r.Topics[i].write(&w, version)
	}
	if version >= 8 && version <= 10 {
		w.int32(r.ClusterOperations)
	}
	if version >= 13 {
		w.code(r.Error)
	}
	w.tags(0)
	return w.dst
}

func (t *MetadataTopicResult) write(w *writer, version int16) {
	w.code(t.Error)
	if t.Name == nil && version < 12 {
		w.string("")
	} else {
		w.nullableString(t.Name)
	}
	if version >= 10 {
		w.uuid(t.ID)
	}
	if version >= 1 {
		w.bool(t.Internal)
	}
	w.length(len(t.Partitions))
	for i := range t.Partitions {
		p := &t.Partitions[i]
		w.code(p.Error)
		w.int32(p.Index)
		w.int32(p.Leader)
		if version >= 7 {
			w.int32(p.LeaderEpoch)
		}
		w.int32s(p.Replicas)
		w.int32s(p.ISR)
		if version >= 5 {
			w.int32s(p.Offline)
		}
		w.tags(0)
	}
	if version >= 8 {
		w.int32(t.Operations)
	}
	w.tags(0)
}

// Decode reads a response's body. Its strings and slices are copies.
func (r *MetadataResponse) Decode(body []byte, version int16) error {
	d := reader{src: body, flexible: version >= 9}
	*r = MetadataResponse{ControllerID: -1, ClusterOperations: NoOperations}
	if version >= 3 {
		r.ThrottleMillis = d.int32()
	}
	r.Brokers = make([]NodeEndpoint, d.array(10))
	for i := range r.Brokers {
		r.Brokers[i] = NodeEndpoint{ID: d.int32(), Host: string(d.string()), Port: d.int32()}
		if version >= 1 {
			r.Brokers[i].Rack = copied(d.nullableString())
		}
		d.skipTags()
	}
	if version >= 2 {
		r.ClusterID = copied(d.nullableString())
	}
	if version >= 1 {
		r.ControllerID = d.int32()
	}
	r.Topics = make([]MetadataTopicResult, d.array(8))
	for i := range r.Topics {
		r.Topics[i].read(&d, version)
		if d.failed {
			break
		}
	}
	if version >= 8 && version <= 10 {
		r.ClusterOperations = d.int32()
	}
	if version >= 13 {
		r.Error = ErrorCode(d.int16())
	}
	d.skipTags()
	return d.err()
}

func (t *MetadataTopicResult) read(d *reader, version int16) {
	*t = MetadataTopicResult{Error: ErrorCode(d.int16()), Operations: NoOperations}
	if version >= 12 {
		t.Name = copied(d.nullableString())
	} else {
		t.Name = copied(d.string())
	}
	if version >= 10 {
		t.ID = d.uuid()
	}
	t.Internal = version >= 1 && d.bool()
	t.Partitions = make([]MetadataPartition, d.array(14))
	for i := range t.Partitions {
		p := MetadataPartition{Error: ErrorCode(d.int16()), Index: d.int32(), Leader: d.int32(), LeaderEpoch: -1}
		if version >= 7 {
			p.LeaderEpoch = d.int32()
		}
		p.Replicas = d.int32s()
		p.ISR = d.int32s()
		if version >= 5 {
			p.Offline = d.int32s()
		}
		d.skipTags()
		t.Partitions[i] = p
	}
	if version >= 8 {
		t.Operations = d.int32()
	}
	d.skipTags()
}
