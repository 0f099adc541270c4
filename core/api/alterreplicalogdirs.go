package api

import (
	"lignum/core/record"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterReplicaLogDirs moves replicas to other directories of this broker. API key 34, versions 1 and 2.
//
//	v2  flexible encoding
//
// A broker has one directory. So a replica is where it shall be already, or the directory is not there.
func (h *Handlers) alterReplicaLogDirs(c *Call, r *kmsg.AlterReplicaLogDirsRequest) {
	out := r.ResponseKind().(*kmsg.AlterReplicaLogDirsResponse)
	out.Topics = []kmsg.AlterReplicaLogDirsResponseTopic{}
	for i := range r.Dirs {
		d := &r.Dirs[i]
		for _, t := range d.Topics {
			to := kmsg.NewAlterReplicaLogDirsResponseTopic()
			to.Topic = t.Topic
			for _, index := range t.Partitions {
				po := kmsg.NewAlterReplicaLogDirsResponseTopicPartition()
				po.Partition, po.ErrorCode = index, int16(h.moveReplica(d.Dir, t.Topic, index))
				to.Partitions = append(to.Partitions, po)
			}
			out.Topics = append(out.Topics, to)
		}
	}
	c.Answer(out)
}

func (h *Handlers) moveReplica(dir, topic string, index int32) wire.ErrorCode {
	if dir != h.LogDir {
		return wire.LogDirNotFound
	}
	t := h.Image.Topic(topic)
	if t == nil {
		return wire.UnknownTopicOrPartition
	}
	id := record.Partition{Topic: t.ID, Index: index}
	p := h.Partitions.Get(id)
	switch {
	case h.Image.Partition(id) == nil:
		return wire.UnknownTopicOrPartition
	case p == nil:
		return wire.ReplicaNotAvailable
	case !p.Open():
		return wire.KafkaStorageError
	}
	return wire.None
}
