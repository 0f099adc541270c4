// Package transport is the real world of a broker's network, memory, time and chance: the production side of the ports
// in core/env, the disk excepted.
//
// The broker is an env.Node, driven by one goroutine, the Loop. Around it stand, for each connection, a goroutine that
// reads, cuts the stream into frames and decodes them, and one that encodes what the node sent and writes it. They
// share nothing with the node: requests go in through the loop's mailbox, frames come out through a queue.
//
//	socket -> reader: frame, decode -> mailbox -> loop: node -> queue -> writer: encode -> socket
//
// Connections that the node opens (Dial) are the same from the moment that they stand; until then their goroutine waits for the peer. What
// arrives there are replies. They have a budget of their own, so that requests that wait for them cannot keep them out, and they are
// the last to be closed.
//
// What is bounded, and what happens at the bound:
//
//   - A frame's length: a connection that claims more, or less than nothing, is closed.
//   - Requests of one connection that the node has not answered, and frames that its peer has not taken: the connection
//     is not read until there are fewer.
//   - Bytes of requests in memory, over all connections: nobody begins to read a frame until some are released.
//   - Connections: no more are accepted; for one address they are closed at once; no more are opened.
//   - The time that it takes to open one.
//   - A peer that stops in the middle of a frame, or stops reading, and one that says nothing: closed after a time.
//
// Memory for a frame is taken up by the bytes that have arrived, not by those that were announced.
package transport
