package perf

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// recordBytes is the size that the records of a batch aim at.
const recordBytes = 1 * kib

// batchOverhead is the size of a batch's header.
const batchOverhead = 61

// batch makes a record batch of exactly n bytes out of records of about 1 KiB, and says how many it holds.
func batch(n int) (encoded []byte, records int) {
	records = max(1, n/recordBytes)
	payload := n - batchOverhead
	var body []byte
	for i := range records {
		share := payload / records
		if i == records-1 {
			share = payload - len(body)
		}
		body = appendRecord(body, i, share)
	}
	now := time.Now().UnixMilli()
	b := kmsg.NewRecordBatch()
	b.Length = int32(n - 12) // all that follows the first offset and this field
	b.PartitionLeaderEpoch = -1
	b.Magic = 2
	b.LastOffsetDelta = int32(records - 1)
	b.FirstTimestamp, b.MaxTimestamp = now, now
	b.ProducerID, b.ProducerEpoch, b.FirstSequence = -1, -1, -1
	b.NumRecords = int32(records)
	b.Records = body
	encoded = b.AppendTo(nil)
	const crcAt, crcFrom = 17, 21
	binary.BigEndian.PutUint32(encoded[crcAt:], crc32.Checksum(encoded[crcFrom:], crc32.MakeTable(crc32.Castagnoli)))
	return encoded, records
}

// appendRecord appends a record without a key that takes exactly n bytes, which are between 100 and 8,000: there both of
// its lengths take two bytes.
func appendRecord(dst []byte, delta, n int) []byte {
	r := kmsg.NewRecord()
	r.OffsetDelta = int32(delta)
	r.Length = int32(n - 2)
	r.Value = make([]byte, 100)
	r.Value = make([]byte, len(r.Value)+n-len(r.AppendTo(nil)))
	for i := range r.Value {
		r.Value[i] = byte(i*31 + delta)
	}
	return r.AppendTo(dst)
}
