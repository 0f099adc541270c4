package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Header is what stands before the body of every request.
type Header struct {
	Key           Key
	Version       int16
	CorrelationID int32
	ClientID      []byte // in the frame; nil if null
}

// ErrShortHeader is the error of a frame that ends inside its header.
var ErrShortHeader = errors.New("request header cut short")

// UnsupportedError is the error of a request whose key or version is not served. The header is good as far as it
// could be read: key, version and correlation id in any case.
type UnsupportedError struct {
	Header Header
}

// Error names the key and the version.
func (e *UnsupportedError) Error() string {
	if _, ok := lookup(e.Header.Key); !ok {
		return fmt.Sprintf("request key %d is not served", e.Header.Key)
	}
	return fmt.Sprintf("version %d of %v is not served", e.Header.Version, e.Header.Key)
}

// Answerable reports whether the peer expects an answer nevertheless: a client opens with the newest ApiVersions that
// it knows, and is told in the layout of version 0, with UnsupportedVersion, what it may use.
func (e *UnsupportedError) Answerable() bool { return e.Header.Key == ApiVersions }

// DecodeHeader reads the header of a request; frame begins behind the frame's length, body behind the header. The
// error is ErrShortHeader, ErrMalformed or an *UnsupportedError.
func DecodeHeader(frame []byte) (h Header, body []byte, err error) {
	if len(frame) < 8 {
		return Header{}, nil, ErrShortHeader
	}
	h.Key = Key(binary.BigEndian.Uint16(frame))
	h.Version = int16(binary.BigEndian.Uint16(frame[2:]))
	h.CorrelationID = int32(binary.BigEndian.Uint32(frame[4:]))
	e, ok := lookup(h.Key)
	if !ok || !e.reads(h.Version) {
		return h, nil, &UnsupportedError{Header: h}
	}
	// The client id keeps its old length in flexible versions too.
	d := reader{src: frame[8:]}
	h.ClientID = d.nullableString()
	d.flexible = h.Version >= e.flexible
	d.skipTags()
	return h, d.src, d.err()
}

// AppendRequestHeader writes the header of a request; a frame's length is not part of it.
func AppendRequestHeader(dst []byte, h Header) []byte {
	w := writer{dst: dst}
	w.int16(int16(h.Key))
	w.int16(h.Version)
	w.int32(h.CorrelationID)
	w.nullableStringBytes(h.ClientID)
	w.flexible = Flexible(h.Key, h.Version)
	w.tags(0)
	return w.dst
}

// AppendResponseHeader writes the header of a response. ApiVersions' never has tags, so that a client can read
// it before it knows what the broker speaks.
func AppendResponseHeader(dst []byte, k Key, version int16, correlationID int32) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	if k != ApiVersions && Flexible(k, version) {
		dst = append(dst, 0)
	}
	return dst
}

// DecodeResponseHeader reads the header of the response to a request; frame begins behind the frame's length, body behind
// the header.
func DecodeResponseHeader(frame []byte, k Key, version int16) (correlationID int32, body []byte, err error) {
	d := reader{src: frame, flexible: k != ApiVersions && Flexible(k, version)}
	correlationID = d.int32()
	d.skipTags()
	return correlationID, d.src, d.err()
}

// BeginRequest appends room for a frame's length and the header of a request. EndFrame fills in the length.
func BeginRequest(dst []byte, h Header) []byte {
	return AppendRequestHeader(append(dst, 0, 0, 0, 0), h)
}

// BeginResponse appends room for a frame's length and the header of a response. EndFrame fills in the length.
func BeginResponse(dst []byte, k Key, version int16, correlationID int32) []byte {
	return AppendResponseHeader(append(dst, 0, 0, 0, 0), k, version, correlationID)
}

// EndFrame writes the length of the frame that begins at buf[start:], whose length field is already there. Outside
// counts the bytes that belong to the frame but do not stand in buf, such as records that stay where they are.
func EndFrame(buf []byte, start int, outside int64) {
	binary.BigEndian.PutUint32(buf[start:], uint32(int64(len(buf)-start-4)+outside))
}
