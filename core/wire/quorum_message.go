package wire

// QuorumMessageRequest carries what a member of the metadata quorum says to another. Key 10000, version 0, flexible, and
// Lignum's own: it goes from node to node only.
//
//	request  = cluster id string, payload bytes, [tags]
//	response = error int16, payload bytes, [tags]
type QuorumMessageRequest struct {
	ClusterID []byte // in the frame
	Payload   []byte // in the frame; package quorum knows what it is
}

// Decode reads a body; the request refers to it afterwards.
func (r *QuorumMessageRequest) Decode(body []byte, _ int16) error {
	d := reader{src: body, flexible: true}
	r.ClusterID = d.string()
	r.Payload = d.bytes()
	d.skipTags()
	return d.err()
}

// AppendTo writes the request's body.
func (r *QuorumMessageRequest) AppendTo(dst []byte, _ int16) []byte {
	w := writer{dst: dst, flexible: true}
	w.stringBytes(r.ClusterID)
	w.length(len(r.Payload))
	w.dst = append(w.dst, r.Payload...)
	w.tags(0)
	return w.dst
}

// QuorumMessageResponse answers a QuorumMessageRequest.
type QuorumMessageResponse struct {
	Error   ErrorCode
	Payload []byte // in the frame; empty if there is nothing to say
}

// Decode reads a body; the response refers to it afterwards.
func (r *QuorumMessageResponse) Decode(body []byte, _ int16) error {
	d := reader{src: body, flexible: true}
	r.Error = ErrorCode(d.int16())
	r.Payload = d.bytes()
	d.skipTags()
	return d.err()
}

// AppendTo writes the response's body.
func (r *QuorumMessageResponse) AppendTo(dst []byte, _ int16) []byte {
	w := writer{dst: dst, flexible: true}
	w.code(r.Error)
	w.length(len(r.Payload))
	w.dst = append(w.dst, r.Payload...)
	w.tags(0)
	return w.dst
}
