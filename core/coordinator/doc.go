// Package coordinator runs state machines, called shards, on the partitions of an internal topic.
//
// A shard decides: from its state and a request it makes records and a reply. The runtime appends the records to the shard's
// partition in one batch, has the shard apply them, and gives the reply once the high watermark has passed them. Appending to the
// leader's log takes no time and either happens or not, so a shard's state is always the fold of the log up to its end, and nothing
// is ever rolled back: what the log loses again it loses with its leadership, and the state goes with it. Many decisions may
// wait for the same commit; none waits for another.
//
// Invariants:
//
//	C3  nothing is answered before the log was read to its end in the present leader epoch
//	C4  a reply is a success only if everything that it rests on is below the high watermark, in the leader epoch in which it was
//	    appended or loaded; the watermark of another epoch completes nothing
//	C5  the state is the fold of the log: what Replay makes of it after an election is what Replay made of it before
//
// A log is loaded in chunks that jobs read and decode; the loop applies them in steps of bounded length, so that a million records do
// not hold it up.
package coordinator
