// Package storage keeps all logs of one broker: it opens and recovers them, writes and syncs what they decide, and owns the
// journal, the checkpoint files, and the memory in which the logs' tails are held.
//
// The data directory, laid out as Apache Kafka's:
//
//	meta.properties                     who the directory belongs to
//	.kafka_cleanshutdown                the last stop was clean; gone, durably, before anything is loaded (ST02)
//	recovery-point-offset-checkpoint    how far each log was synced
//	log-start-offset-checkpoint         where each log starts
//	replication-offset-checkpoint       each log's high watermark
//	<topic>-<partition>/                one log
//	<topic>-<partition>.<id>-delete/    one that was deleted and is to be removed
//	<topic>-<partition>.<id>-stray/     one that belonged to no topic, set aside and never touched again
//	journal/                            the broker's write-ahead journal
//	<id>-<n>.<n>.rest                   what the journal had of a log that could not be used at a start
//
// One drain of the loop gives each log that took appends one Writes; together they are one job on the write lane, a turn. The same bytes of
// the logs under the policy sync are entries of the journal, whose commit runs beside the turn on a lane of its own. Whatever is
// appended meanwhile waits for the next turn and the next commit: group commit without a timer. The logs' own files are synced
// in the background: when a journal file is to be recycled, at the checkpoint interval, and for logs under async by flush.messages and flush.ms.
//
// What holds:
//
//	S1  A log under sync reports an offset as durable only when a commit of the journal that holds it, or a sync of the log's own files,
//	    has succeeded, and everything below the offset is durable as well.
//	S2  A truncation is entered in the journal only when it is durable in the log's own files, and what was appended behind it is entered behind
//	    it. So what a log holds on disk is never older than the last truncation that the journal knows of, and a replay only ever appends.
//	    Nor is a file with older entries let go before the truncation is in the journal.
//	S3  What the journal does not hold of a log is durable in the log's own files before an offset behind it is reported as durable: a log joins
//	    the journal at an offset (Join), what lies below is synced, and then the journal notes that (Anchor). What follows a Join without
//	    an Anchor was never reported, and a replay leaves it out.
//	S4  A journal file is recycled only when every log in it was synced past its last entry there and the checkpoints were written after that.
//	    Of a log that cannot be used at a start the entries are copied to a rest file first, which counts as a part of the journal from then on (rest.go).
//	S5  Any failed write, sync or rename ends the store for good: nothing is accepted, synced or marked clean after it (O1).
//	S6  The clean marker is written last at a stop, and only if everything before it succeeded.
package storage
