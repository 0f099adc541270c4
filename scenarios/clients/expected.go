package clients

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Expected is what a partition directory holds, as a file beside it tells.
type Expected struct {
	Records []Record `json:"records"`
	Batches []Batch  `json:"batches"`
}

// Batch is the header of one batch as it lies in a segment.
type Batch struct {
	Segment       string `json:"segment"`
	BaseOffset    int64  `json:"baseOffset"`
	LastOffset    int64  `json:"lastOffset"`
	LeaderEpoch   int32  `json:"leaderEpoch"`
	Codec         int16  `json:"codec"` // 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd
	ProducerID    int64  `json:"producerId"`
	ProducerEpoch int16  `json:"producerEpoch"`
	BaseSequence  int32  `json:"baseSequence"`
	MaxTimestamp  int64  `json:"maxTimestamp"`
}

// ReadBatches lists the batches in the segments of a partition directory.
func ReadBatches(dir string) (batches []Batch, err error) {
	const lengthEnd = 12 // a batch starts with its base offset and its length
	segments, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return nil, err
	}
	for _, path := range segments {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for len(data) > 0 {
			var b kmsg.RecordBatch
			if err := b.ReadFrom(data); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			data = data[lengthEnd+int(b.Length):]
			batches = append(batches, Batch{
				Segment: filepath.Base(path), BaseOffset: b.FirstOffset, LastOffset: b.FirstOffset + int64(b.LastOffsetDelta),
				LeaderEpoch: b.PartitionLeaderEpoch, Codec: b.Attributes & 7, MaxTimestamp: b.MaxTimestamp,
				ProducerID: b.ProducerID, ProducerEpoch: b.ProducerEpoch, BaseSequence: b.FirstSequence,
			})
		}
	}
	return batches, nil
}

// ReadExpected reads an expected.json.
func ReadExpected(path string) (e Expected, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return e, err
	}
	err = json.Unmarshal(text, &e)
	return e, err
}
