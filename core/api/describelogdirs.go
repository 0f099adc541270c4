package api

import (
	"lignum/core/partition"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeLogDirs tells how much is stored where. API key 35, versions 1 to 4.
//
//	v4  size and free space of the volume (KIP-827)
//
// It replies once the disk has been asked for its free space.
func (h *Handlers) describeLogDirs(c *Call, r *kmsg.DescribeLogDirsRequest) {
	out := r.ResponseKind().(*kmsg.DescribeLogDirsResponse)
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir = h.LogDir
	dir.Topics = []kmsg.DescribeLogDirsResponseDirTopic{}
	wanted := wantedDirs(r)
	for _, t := range h.Image.Topics() {
		to := kmsg.NewDescribeLogDirsResponseDirTopic()
		to.Topic = t.Name
		for i := range t.Partitions {
			p, code := h.Partitions.ByID(t.ID, int32(i))
			if code == wire.None && p.Open() && (r.Topics == nil || wanted[topicIndex{t.Name, int32(i)}]) {
				to.Partitions = append(to.Partitions, describeDir(p))
			}
		}
		if len(to.Partitions) > 0 {
			dir.Topics = append(dir.Topics, to)
		}
	}
	h.Usage(func(total, free int64, err error) {
		dir.TotalBytes, dir.UsableBytes = total, free
		if err != nil {
			dir.ErrorCode, dir.TotalBytes, dir.UsableBytes = int16(wire.KafkaStorageError), -1, -1
		}
		out.Dirs = append(out.Dirs, dir)
		c.Answer(out)
	})
}

func describeDir(p *partition.Partition) kmsg.DescribeLogDirsResponseDirTopicPartition {
	to := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
	to.Partition, to.Size = p.ID.Index, p.Size()
	to.OffsetLag = max(int64(p.HighWatermark()-p.EndOffset()), 0)
	return to
}

// wantedDirs are the partitions that are asked for; a request without topics is for all of them.
func wantedDirs(r *kmsg.DescribeLogDirsRequest) map[topicIndex]bool {
	wanted := map[topicIndex]bool{}
	for _, t := range r.Topics {
		for _, index := range t.Partitions {
			wanted[topicIndex{t.Topic, index}] = true
		}
	}
	return wanted
}
