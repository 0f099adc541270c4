package wire

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DecodeBody reads the body that DecodeHeader has found. The result is a *ProduceRequest, *FetchRequest,
// *ListOffsetsRequest, *MetadataRequest or *QuorumMessageRequest, or for every other key a kmsg.Request with its version set. The
// error is ErrMalformed or an *UnsupportedError. Whether the sender may ask for that is not looked at; see Accepts.
//
// The readers of kmsg make room for as many elements as an array claims and count tagged fields that are not there,
// so they see a body only after a walk over it has found that it holds what it claims.
func DecodeBody(h Header, body []byte) (any, error) {
	e, ok := lookup(h.Key)
	if !ok || !e.reads(h.Version) {
		return nil, &UnsupportedError{Header: h}
	}
	switch h.Key {
	case Produce:
		r := new(ProduceRequest)
		return checked(r, r.Decode(body, h.Version))
	case Fetch:
		r := new(FetchRequest)
		return checked(r, r.Decode(body, h.Version))
	case ListOffsets:
		r := new(ListOffsetsRequest)
		return checked(r, r.Decode(body, h.Version))
	case Metadata:
		r := new(MetadataRequest)
		return checked(r, r.Decode(body, h.Version))
	case QuorumMessage:
		r := new(QuorumMessageRequest)
		return checked(r, r.Decode(body, h.Version))
	}
	if !e.forRequest.fits(body, h.Version, h.Version >= e.flexible) {
		return nil, ErrMalformed
	}
	r := kmsg.RequestForKey(int16(h.Key))
	r.SetVersion(h.Version)
	if err := r.ReadFrom(body); err != nil {
		return nil, ErrMalformed
	}
	return r, nil
}

// checked keeps a failed decoder's half-filled request from its caller.
func checked(r any, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}

// DecodeResponse reads the body of a response of another node. The error is ErrMalformed, or an *UnsupportedError for what
// nodes do not ask each other with the types of kmsg. Like DecodeBody it looks before kmsg leaps.
func DecodeResponse(k Key, version int16, body []byte) (kmsg.Response, error) {
	e, ok := lookup(k)
	s := responseSchema(k)
	if !ok || !e.reads(version) || s == nil {
		return nil, &UnsupportedError{Header: Header{Key: k, Version: version}}
	}
	if !s.fits(body, version, version >= e.flexible) {
		return nil, ErrMalformed
	}
	r := kmsg.ResponseForKey(int16(k))
	r.SetVersion(version)
	if err := r.ReadFrom(body); err != nil {
		return nil, ErrMalformed
	}
	return r, nil
}
