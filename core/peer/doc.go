// Package peer makes a node's calls to other nodes of its cluster: one connection for each node and purpose, opened when there is
// something to say, and opened again when it breaks.
//
// A Set belongs to the loop, which hands it what arrives on the connections that it has opened. Nodes of a cluster speak the
// same versions, so a connection begins with the first request. Requests leave in the order of Call, replies come in the same order.
//
// What holds:
//
//   - Every call ends once, on the loop, never during Call: with the reply, or with one of the package's errors. It ends no later
//     than its timeout.
//   - A call whose request may have reached the peer is never sent again; whether it has been carried out is for the
//     caller to find out (ErrUnknown, ErrTimeout).
//   - No more than Options.MaxQueued calls wait on one link.
//   - A peer that cannot be reached, or does not keep its connections, is tried again after a time that doubles from
//     Options.BackoffMin to Options.BackoffMax, give or take a fifth, so that nodes do not knock together. Nobody knocks without a call that waits.
package peer
