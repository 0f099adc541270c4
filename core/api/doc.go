// Package api answers requests: one file for each request type. A handler checks, calls whoever owns the state, and translates the
// result; the protocol's types end here.
//
// A request's way: Decode at the edge (pure, in parallel), Handlers.Handle on the loop, the Call's Encode at the edge. Answers
// leave a connection in the order of its requests, whenever they become ready.
package api
