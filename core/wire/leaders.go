package wire

// The parts that Produce's and Fetch's answers share: leader hints and addresses, all in tagged fields (KIP-951).

func (w *writer) leader(tag int, l LeaderAndEpoch) {
	w.tag(tag, 4+4+1)
	w.int32(l.ID)
	w.int32(l.Epoch)
	w.tags(0)
}

func (r *reader) leader() *LeaderAndEpoch {
	l := &LeaderAndEpoch{ID: r.int32(), Epoch: r.int32()}
	r.skipTags()
	return l
}

// endpoints writes the tagged fields of a response whose only one is the list of addresses; an empty list is left out.
func (w *writer) endpoints(tag int, list []NodeEndpoint) {
	if len(list) == 0 {
		w.tags(0)
		return
	}
	size := compactLength(len(list) + 1)
	for _, e := range list {
		size += 4 + compactString(e.Host) + 4 + 1 + 1
		if e.Rack != nil {
			size += compactString(*e.Rack) - 1
		}
	}
	w.tags(1)
	w.tag(tag, size)
	w.length(len(list))
	for _, e := range list {
		w.int32(e.ID)
		w.string(e.Host)
		w.int32(e.Port)
		w.nullableString(e.Rack)
		w.tags(0)
	}
}

func (r *reader) endpoints() []NodeEndpoint {
	list := make([]NodeEndpoint, r.array(11))
	for i := range list {
		list[i] = NodeEndpoint{ID: r.int32(), Host: string(r.string()), Port: r.int32(), Rack: copied(r.nullableString())}
		r.skipTags()
	}
	return list
}

// copied makes a nullable string of a slice of the frame.
func copied(p []byte) *string {
	if p == nil {
		return nil
	}
	s := string(p)
	return &s
}

// take returns n zeroed elements, using the one at hand if that is enough.
func take[T any](one *[1]T, n int) []T {
	if n <= 1 {
		*one = [1]T{}
		return one[:n]
	}
	return make([]T, n)
}
