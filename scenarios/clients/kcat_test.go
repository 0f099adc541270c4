package clients

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func TestKcat(t *testing.T) {
	needKcat(t)
	suite(t, func(b *Broker) (Driver, error) { return openKcat(b) })
}

// TestKcatRoundTrip is the one from the README: lines in, the same lines out.
func TestKcatRoundTrip(t *testing.T) {
	needKcat(t)
	b := startBroker(t)
	k, err := openKcat(b)
	must(t, err)
	defer k.Close()
	topic := createTopic(t, k, 1)
	var lines bytes.Buffer
	for i := range 100_000 {
		fmt.Fprintf(&lines, "line %d of a hundred thousand, %s\n", i, strings.Repeat("x", i%50))
	}
	sent := bytes.Clone(lines.Bytes())
	_, err = k.run(&lines, "-P", "-t", topic, "-p", "0")
	must(t, err)
	got, err := k.run(nil, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q")
	must(t, err)
	if !bytes.Equal(sent, got) {
		t.Fatalf("%d bytes written, %d read, and they differ", len(sent), len(got))
	}
}

func needKcat(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("kcat"); err != nil {
		t.Skip("no kcat on this machine")
	}
}

// kcat drives the command of that name, a new process for each operation. It can
// neither create nor delete topics, so franz-go does.
type kcat struct {
	franz   *franz
	address string
}

func openKcat(b *Broker) (*kcat, error) {
	f, err := openFranz(b)
	return &kcat{franz: f, address: b.Address}, err
}

func (k *kcat) Name() string {
	out, _ := exec.Command("kcat", "-V").Output()
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Version ") {
			return "kcat " + strings.TrimSpace(strings.TrimPrefix(line, "Version "))
		}
	}
	return "kcat"
}

func (k *kcat) Traits() Traits                            { return Traits{TextOnly: true, OwnTime: true} }
func (k *kcat) Close() error                              { return k.franz.Close() }
func (k *kcat) Create(topic string, partitions int) error { return k.franz.Create(topic, partitions) }
func (k *kcat) Delete(topic string) error                 { return k.franz.Delete(topic) }

// command is kcat with -E: it goes on when a connection is lost.
func (k *kcat) command(arguments ...string) *exec.Cmd {
	return exec.Command("timeout", append([]string{"100", "kcat", "-b", k.address, "-E", "-X", "reconnect.backoff.max.ms=500", "-X", "fetch.wait.max.ms=50"}, arguments...)...)
}

// run gives kcat its input and returns its output.
func (k *kcat) run(in io.Reader, arguments ...string) ([]byte, error) {
	c := k.command(arguments...)
	var out, faults bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = in, &out, &faults
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("kcat %s: %w: %s", strings.Join(arguments, " "), err, faults.String())
	}
	if strings.Contains(faults.String(), "elivery failed") { // with -E that is no reason to fail
		return nil, fmt.Errorf("kcat %s: %s", strings.Join(arguments, " "), faults.String())
	}
	return out.Bytes(), nil
}

func (k *kcat) Topics() (map[string]int, error) {
	out, err := k.run(nil, "-L", "-J")
	if err != nil {
		return nil, err
	}
	var list struct {
		Topics []struct {
			Topic      string
			Partitions []struct{}
		}
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("%.200s: %w", out, err)
	}
	topics := map[string]int{}
	for _, t := range list.Topics {
		topics[t.Topic] = len(t.Partitions)
	}
	return topics, nil
}

// Produce runs kcat once for each partition; a line without a tab has no key, an
// empty value is null.
func (k *kcat) Produce(topic string, o ProduceOptions, records []Record) ([]Record, error) {
	var order []int32
	inputs := map[int32]*bytes.Buffer{}
	headers := map[int32][]string{}
	for _, r := range records {
		if inputs[r.Partition] == nil {
			inputs[r.Partition] = &bytes.Buffer{}
			order = append(order, r.Partition)
			for _, h := range r.Headers {
				headers[r.Partition] = append(headers[r.Partition], "-H", h.Key+"="+string(h.Value))
			}
		}
		if r.Key != nil {
			fmt.Fprintf(inputs[r.Partition], "%s\t", r.Key)
		}
		fmt.Fprintf(inputs[r.Partition], "%s\n", r.Value)
	}
	for _, p := range order {
		arguments := []string{"-P", "-t", topic, "-p", strconv.Itoa(int(p)), "-Z", "-K", "\t", "-z", o.Codec,
			"-X", "acks=" + o.Acks, "-X", fmt.Sprintf("enable.idempotence=%v", o.Idempotent)}
		if _, err := k.run(inputs[p], append(arguments, headers[p]...)...); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func (k *kcat) Read(topic string, from map[int32]int64) ([]Record, error) {
	topics, err := k.Topics()
	if err != nil {
		return nil, err
	}
	var records []Record
	for p := range int32(topics[topic]) {
		out, err := k.run(nil, "-C", "-t", topic, "-p", strconv.Itoa(int(p)), "-o", strconv.FormatInt(from[p], 10), "-e", "-q", "-J", "-X", "check.crcs=true")
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(out) {
			r, err := kcatRecord(line)
			if err != nil {
				return nil, err
			}
			records = append(records, r)
		}
	}
	return records, nil
}

func kcatRecord(line []byte) (Record, error) {
	var m struct {
		Partition    int32
		Offset, TS   int64
		Headers      []string
		Key, Payload *string
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return Record{}, fmt.Errorf("%.200s: %w", line, err)
	}
	r := Record{Partition: m.Partition, Offset: m.Offset, Timestamp: m.TS}
	if m.Key != nil {
		r.Key = []byte(*m.Key)
	}
	if m.Payload != nil {
		r.Value = []byte(*m.Payload)
	}
	for pair := range slices.Chunk(m.Headers, 2) {
		r.Headers = append(r.Headers, Header{Key: pair[0], Value: []byte(pair[1])})
	}
	return r, nil
}

func (k *kcat) OffsetAt(topic string, partition int32, timestamp int64) (int64, error) {
	out, err := k.run(nil, "-Q", "-t", fmt.Sprintf("%s:%d:%d", topic, partition, timestamp))
	if err != nil {
		return 0, err
	}
	_, text, found := strings.Cut(strings.TrimSpace(string(out)), " offset ")
	if !found {
		return 0, fmt.Errorf("kcat answered %q", out)
	}
	return strconv.ParseInt(text, 10, 64)
}

// Load feeds one kcat for each partition. A kcat that ends without a complaint has
// had every line acknowledged; it does not tell the offsets.
func (k *kcat) Load(topic string, o LoadOptions, progress func(int)) ([]Ack, error) {
	inputs := make([]io.WriteCloser, o.Partitions)
	ends := make([]error, o.Partitions)
	var running sync.WaitGroup
	for p := range inputs {
		reader, writer := io.Pipe()
		inputs[p] = writer
		running.Go(func() {
			_, ends[p] = k.run(reader, "-P", "-t", topic, "-p", strconv.Itoa(p), "-X", "acks=all", "-X", fmt.Sprintf("enable.idempotence=%v", o.Idempotent))
			reader.CloseWithError(cmpError(ends[p], io.ErrClosedPipe))
		})
	}
	var acks []Ack
	var failed error
	o.pace(func(partition int32, sequence int) {
		_, err := inputs[partition].Write(append(loadValue(sequence), '\n'))
		failed = cmpError(failed, err)
		acks = append(acks, Ack{Partition: partition, Sequence: sequence, Offset: -1})
		progress(len(acks))
	})
	for _, in := range inputs {
		failed = cmpError(failed, in.Close())
	}
	running.Wait()
	return acks, errors.Join(append(ends, failed)...)
}

// cmpError is the first of two errors.
func cmpError(first, second error) error {
	if first != nil {
		return first
	}
	return second
}
