// Package group holds consumer groups and their committed offsets: state machines on the partitions of the topic
// __consumer_offsets, hosted by package coordinator.
//
// A group's id decides its partition. One Shard holds the groups of one partition. What must outlive the coordinator is in the log:
// committed offsets, a classic group's last complete generation, and everything about groups of the consumer protocol
// (KIP-848). A classic group's rounds of joining and syncing are not: a new coordinator starts from the last complete generation, and
// members that it does not know join again.
//
// Records are Apache Kafka's own, so that its tools read the topic; the key's version says what a record is:
//
//	0, 1  an offset: group, topic, partition
//	2     a classic group
//	3     a consumer group's epoch
//	4     what the group knows of its topics (written no more since Kafka 4.1; read and ignored)
//	5     a member of a consumer group
//	6     the epoch of the target assignment
//	7     a member's target assignment
//	8     a member's current assignment
//	16    what a regular expression stands for
//
// Keys of other versions belong to share and streams groups; they are left alone.
//
// Invariants:
//
//	C2  an offset is committed only by a current member, judged at the same point as the append; by a stranger only while
//	    the group is empty
//	C5  the state is the fold of the log
//	C6  an offset expires only while nobody in the group may still want it, and no transaction has it staged
//	C7  no two members of a group own a partition in one generation, or at one time by their member epochs; a member
//	    loses its own by a timeout only when the whole of it has passed since any coordinator may have answered it
//	C8  generations and member epochs only rise
package group
