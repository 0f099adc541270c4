package clients

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// needApacheKafka skips where Apache Kafka's jars cannot be had.
func needApacheKafka(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("java"); err != nil {
		t.Skip("no Java on this machine")
	}
	if out, err := exec.Command("./apache-kafka", "install").CombinedOutput(); err != nil {
		t.Skipf("Apache Kafka's jars cannot be fetched: %v: %s", err, out)
	}
}

// TestDumpLogSegments lets Apache Kafka's own tool read what the broker left of a
// partition: batches of every codec, several segments, indexes, snapshots of the
// producers; once after a good end, once after a kill -9 and a recovery.
func TestDumpLogSegments(t *testing.T) {
	needApacheKafka(t)
	b := startBroker(t)
	if b.Foreign() {
		t.Skip(ErrForeign)
	}
	f, err := openFranz(b)
	must(t, err)
	defer f.Close()
	topic := newTopic(t)
	segmented := "1048576"
	ctx, cancel := limited()
	defer cancel()
	_, err = f.admin.CreateTopic(ctx, 1, 1, map[string]*string{"segment.bytes": &segmented}, topic)
	must(t, err)

	wrote := writeBulk(t, f, topic, 0)
	must(t, b.Stop())
	t.Run("clean", func(t *testing.T) { checkDump(t, b, topic, wrote) })

	must(t, b.Restart())
	wrote = append(wrote, writeBulk(t, f, topic, len(wrote))...)
	must(t, b.Kill())
	must(t, b.Restart())
	_, err = f.Read(topic, nil)
	must(t, err)
	must(t, b.Stop())
	t.Run("recovered", func(t *testing.T) { checkDump(t, b, topic, wrote) })
	must(t, b.Restart()) // for the end of the test
}

// writeBulk fills more than two segments of 1 MiB with text that hardly compresses.
func writeBulk(t *testing.T, f *franz, topic string, from int) (wrote []Record) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, uint64(from)))
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		records := make([]Record, 60)
		for i := range records {
			value := make([]byte, 12_000)
			for j := range value {
				value[j] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[random.IntN(64)]
			}
			records[i] = Record{Timestamp: hourAgo() + int64(from+len(wrote)+i), Value: value}
			if i%2 == 0 {
				records[i].Key = fmt.Appendf(nil, "key-%d", i)
			}
		}
		for batch := range 6 {
			acked, err := f.Produce(topic, ProduceOptions{Codec: codec, Acks: "all", Idempotent: true}, records[batch*10:batch*10+10])
			must(t, err)
			wrote = append(wrote, acked...)
		}
	}
	return wrote
}

// partitionFiles are the files of a partition that bear this extension, in order.
func partitionFiles(t *testing.T, dir, extension string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*."+extension))
	must(t, err)
	return names
}

func checkDump(t *testing.T, b *Broker, topic string, wrote []Record) {
	dir, err := b.PartitionDir(topic, 0)
	must(t, err)
	logs, snapshots := partitionFiles(t, dir, "log"), partitionFiles(t, dir, "snapshot")
	indexes := append(partitionFiles(t, dir, "index"), partitionFiles(t, dir, "timeindex")...)
	if len(logs) < 3 || len(indexes) != 2*len(logs) || len(snapshots) == 0 {
		t.Fatalf("%d segments, %d indexes, %d snapshots", len(logs), len(indexes), len(snapshots))
	}
	must(t, compare(wrote, dumpedRecords(t, dump(t, logs, "--deep-iteration", "--print-data-log")), Traits{}))
	dump(t, indexes, "--index-sanity-check")
	dump(t, indexes, "--verify-index-only")
	entries := dump(t, indexes)
	if n, batches := strings.Count(entries, "position:"), len(wrote)/10; n < batches/2 || n > batches {
		t.Errorf("%d entries in the offset indexes for %d batches, each longer than the interval:\n%s", n, batches, entries)
	}
	if !regexp.MustCompile(`producerId: \d+ producerEpoch: 0 .*lastSequence: 9 lastOffset: \d+ offsetDelta: 9`).MatchString(dump(t, snapshots)) {
		t.Errorf("no producer in the snapshots:\n%s", dump(t, snapshots))
	}
	for _, file := range []string{"leader-epoch-checkpoint", "partition.metadata"} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Error(err)
		}
	}
}

// complaint is what DumpLogSegments prints where something is wrong.
var complaint = regexp.MustCompile(`(?i)mismatch|non-consecutive|invalid|corrupt|out of order|exception|isvalid: false|non-secutive|not found|should be`)

// dump runs Apache Kafka's DumpLogSegments and insists that it finds no fault.
func dump(t *testing.T, files []string, options ...string) string {
	t.Helper()
	arguments := append([]string{"tool", "kafka.tools.DumpLogSegments", "--files", strings.Join(files, ",")}, options...)
	out, err := exec.Command("./apache-kafka", arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "|") && complaint.MatchString(line) {
			t.Errorf("DumpLogSegments %v: %s", options, line)
		}
	}
	return string(out)
}

var dumpedRecord = regexp.MustCompile(`^\| offset: (\d+) CreateTime: (\d+) keySize: (-?\d+) valueSize: (-?\d+) sequence: (-?\d+) headerKeys: \[(.*?)\](?: key: (\S+))? payload: (\S+)`)

// dumpedRecords parses the records in what --print-data-log printed.
func dumpedRecords(t *testing.T, out string) (records []Record) {
	t.Helper()
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "| offset: ") {
			continue
		}
		m := dumpedRecord.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("DumpLogSegments printed %.300s", line)
		}
		offset, offsetErr := strconv.ParseInt(m[1], 10, 64)
		timestamp, timeErr := strconv.ParseInt(m[2], 10, 64)
		must(t, errors.Join(offsetErr, timeErr))
		r := Record{Offset: offset, Timestamp: timestamp, Value: []byte(m[8])}
		if m[3] != "-1" {
			r.Key = []byte(m[7])
		}
		records = append(records, r)
	}
	return records
}

// fixtures is where the storage tests of the broker keep what Apache Kafka wrote.
var fixtures = filepath.Join("..", "..", "core", "commitlog", "testdata", "apache-kafka")

// TestOpensApacheKafkaPartition moves a partition directory that Apache Kafka wrote
// under the broker: a topic of that name is made, the broker stops, and the files
// take the place of its own, all but partition.metadata, for the topic's id stays.
// Every record is there, and the log goes on.
func TestOpensApacheKafkaPartition(t *testing.T) {
	want, err := ReadExpected(filepath.Join(fixtures, "fixture-0.expected.json"))
	must(t, err)
	b := startBroker(t)
	if b.Foreign() {
		t.Skip(ErrForeign)
	}
	f, err := openFranz(b)
	must(t, err)
	defer f.Close()
	ctx, cancel := limited()
	defer cancel()
	forever := "-1"
	_, err = f.admin.CreateTopic(ctx, 1, 1, map[string]*string{"retention.ms": &forever}, "fixture")
	must(t, err)
	_, err = f.Read("fixture", nil)
	must(t, err)
	must(t, b.Stop())
	dir, err := b.PartitionDir("fixture", 0)
	must(t, err)
	must(t, replaceFiles(dir, filepath.Join(fixtures, "fixture-0")))
	must(t, b.Restart())

	read, err := f.Read("fixture", nil)
	must(t, err)
	must(t, compare(want.Records, read, Traits{}))
	for _, r := range want.Records { // timestamps rise, in steps that no two records share
		offset, err := f.OffsetAt("fixture", 0, r.Timestamp)
		must(t, err)
		if offset != r.Offset {
			t.Errorf("offset at %d: %d, want %d", r.Timestamp, offset, r.Offset)
		}
	}
	more, err := f.Produce("fixture", ProduceOptions{Codec: "none", Acks: "all", Idempotent: true}, Sample(5, hourAgo()))
	must(t, err)
	must(t, b.Kill())
	must(t, b.Restart())
	read, err = f.Read("fixture", nil)
	must(t, err)
	must(t, compare(append(want.Records, more...), read, Traits{}))
}

// replaceFiles puts the files of from in the place of those in dir, but keeps its
// partition.metadata.
func replaceFiles(dir, from string) error {
	const kept = "partition.metadata"
	old, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range old {
		if entry.Name() != kept {
			err = errors.Join(err, os.Remove(filepath.Join(dir, entry.Name())))
		}
	}
	files, listErr := os.ReadDir(from)
	err = errors.Join(err, listErr)
	for _, entry := range files {
		if entry.Name() == kept {
			continue
		}
		data, readErr := os.ReadFile(filepath.Join(from, entry.Name()))
		err = errors.Join(err, readErr, os.WriteFile(filepath.Join(dir, entry.Name()), data, 0o644))
	}
	return err
}
