// Package commitlog keeps one partition's records on disk, in Apache Kafka's layout byte for byte.
//
// The directory of a partition:
//
//	<base offset, 20 digits>.log        record batches, one behind the other; the name is the first offset
//	<base offset>.index                 8-byte entries: offset of a batch's last record relative to the base int32, position int32
//	<base offset>.timeindex             12-byte entries: greatest timestamp so far int64, relative offset int32
//	<base offset>.txnindex              34-byte entries, one for each aborted transaction; made when the first one comes
//	<offset>.snapshot                   producer state from everything below the offset; at each roll and at a clean close
//	leader-epoch-checkpoint             where each leader epoch began
//	partition.metadata                  the topic's identity
//	truncation-checkpoint               Lignum's own: see L6 below; Kafka ignores it
//	log-start                           Lignum's own: the log start, durable before the segments below it go; Kafka ignores it
//	segment-receipts                    Lignum's own: when the last batch of a closed segment came; Kafka ignores it
//	*.deleted                           on its way out, removed at the next start
//	*.cleaned, *.swap                   a compaction in the making, or one that was decided but not finished
//	*.tmp                               a small file in the making
//
// A Log lives on the loop and does no I/O. Whatever blocks is handed out as a job value (Writes, Sync, Deletes, Close, and
// ReadJob and TimeJob for readers): its Run is called on a lane, then it is given back to the Log on the loop. Batches are copied into
// chunks of pooled memory as they are appended; one Writes takes everything that was decided since the last one, so a
// partition costs one write for each drain. Readers of the tail get slices of the chunks, others a range of a file.
//
// What holds, by construction:
//
//	L1  A byte of a .log file is written once. A truncation cuts a file and the log goes on in a new segment, so that whoever reads a
//	    range sees those bytes or a short file, and a suffix that a power cut brings back lies beyond the next segment's base, where
//	    recovery cuts it again.
//	L2  Files of a segment disappear by a rename to .deleted on the write lane, in order with the creation of files; only
//	    .deleted names are ever removed later. A new file can never be hit by the removal of an old one.
//	L3  After a failed write, truncation or sync the log is failed for good: nothing is accepted, written, synced or marked clean.
//	L4  The recovery point moves only after a sync of every file that holds data below it, of their directory, and of the epochs and
//	    snapshots that go with them. A truncation lowers it and every sync that is under way.
//	L5  Memory of a chunk is reused only when its bytes are written and no reader and no Writes holds it.
//	L6  A truncation below the recovery point first puts its offset into truncation-checkpoint, durably: whatever recovery point
//	    another file still claims, nothing above that offset counts as flushed until Checkpointed says that the claim is gone.
//	L7  Recovery cuts a bad batch only at or above the recovery point. Below it a bad batch is corruption: an error, never a cut.
//	L8  Indexes are hints. What a lookup finds is checked against the batch that it points to; if that does not fit, the segment is
//	    walked from its start and the index is rebuilt.
//	L9  The age of a segment counts from when its last batch was received, by the broker's monotonic clock; timestamps of clients
//	    neither hasten nor block its deletion. Across a restart the age is carried by segment-receipts; where that has no entry
//	    the segment counts as received at the start: retention may be late, never early.
//	L10 Segments below the log start are removed only when the log start is durable in log-start, and the first segment that stays has a
//	    synced snapshot: deleted records never come back with a hole among them, and producers outlive their batches.
package commitlog
