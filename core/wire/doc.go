// Package wire reads and writes the Kafka protocol: frames' headers, the table of what is served, error codes, and
// the bodies of the requests that every record passes through.
//
// Produce, Fetch, ListOffsets and Metadata have readers and writers of their own here, flat and sparing of memory;
// the other keys use the generated types of kmsg, behind a check of the body's structure (see DecodeBody).
//
// What holds:
//
//   - No input makes a reader panic, and none makes it allocate more than a small multiple of the bytes that are
//     really there: every length is compared with the rest of the body before anything is made for it.
//   - Byte slices in a decoded request are slices of its frame: they are good for as long as the frame is.
//   - Bytes behind the end of a body are ignored, as is every tagged field that is not known.
//
// On the wire (big endian):
//
//	frame    = length int32, header, body
//	request  = key int16, version int16, correlation int32, client id nullable string, [tags], body
//	response = correlation int32, [tags], body
//
// The tags are there in the "flexible" versions of KIP-482; ApiVersions' response header never has them.
package wire
