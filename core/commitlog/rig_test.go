package commitlog_test

import (
	"fmt"
	"slices"
	"time"

	"lignum/core/commitlog"
	"lignum/core/env"
	"lignum/core/record"
	"lignum/sim"
)

const dir = "t-0"

var partition = record.Partition{Topic: record.TopicID{1, 2, 3}}

// rig is a log on a simulated disk, with a store around it that does no more than run the jobs.
type rig struct {
	t        tester
	disk     *sim.Disk
	mem      *sim.Memory
	settings commitlog.Settings
	log      *commitlog.Log
	now      env.Instant
	wall     env.Millis

	writes []*commitlog.Writes // taken, not yet given back
	ran    int                 // how many of them have run
	sync   *commitlog.Sync
	point  record.Offset // what the store's checkpoint says
	start  record.Offset
	found  *commitlog.Recovery
}

// tester is what testing.T and rapid.T have in common.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func newRig(t tester, seed uint64, s commitlog.Settings) *rig {
	return &rig{
		t: t, disk: sim.NewDisk(sim.DiskOptions{Seed: seed}), mem: sim.NewMemory(), settings: s,
		now: 1, wall: 1_700_000_000_000,
	}
}

// tiny are settings under which everything happens often.
func tiny() commitlog.Settings {
	s := commitlog.DefaultSettings()
	s.SegmentBytes, s.IndexIntervalBytes = 1000, 150
	return s
}

func (r *rig) create() {
	found, err := commitlog.Create(r.disk, dir, partition, 0, r.wall)
	r.must(err)
	r.use(found)
}

func (r *rig) open(clean bool) error {
	found, err := commitlog.Open(r.disk, dir, partition, r.settings, commitlog.OpenOptions{
		Clean: clean, RecoveryPoint: r.point, StartOffset: r.start, Wall: r.wall,
	})
	if err != nil {
		return err
	}
	r.use(found)
	return nil
}

func (r *rig) use(found *commitlog.Recovery) {
	r.found = found
	r.log = commitlog.New(found, r.settings, r.mem, sim.NewRand(1), r.now, r.wall)
	r.writes, r.ran, r.sync = nil, 0, nil
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) info(epoch record.Epoch) commitlog.AppendInfo {
	return commitlog.AppendInfo{Epoch: epoch, Now: r.now, Wall: r.wall}
}

func (r *rig) pass(d time.Duration) {
	r.now = r.now.Add(d)
	r.wall += env.Millis(d / time.Millisecond)
}

// batchOf builds a batch of records, one for each timestamp, with values of so many bytes.
func batchOf(size int, timestamps ...int64) record.Batch {
	b := record.NewBuilder(record.None)
	for i, t := range timestamps {
		value := make([]byte, size)
		for j := range value {
			value[j] = byte(i + j*7)
		}
		b.Append(record.Record{Timestamp: t, Value: value})
	}
	return b.Build()
}

// batchFrom is batchOf of an idempotent producer.
func batchFrom(id record.ProducerID, sequence int32, transactional bool, timestamps ...int64) record.Batch {
	b := record.NewBuilder(record.None)
	b.SetProducer(id, 0, sequence)
	if transactional {
		b.SetTransactional()
	}
	for _, t := range timestamps {
		b.Append(record.Record{Timestamp: t, Value: []byte("value")})
	}
	return b.Build()
}

func (r *rig) take() bool {
	w := r.log.TakeWrites()
	if w != nil {
		r.writes = append(r.writes, w)
	}
	return w != nil
}

func (r *rig) run() bool {
	if r.ran == len(r.writes) {
		return false
	}
	r.ran++
	r.writes[r.ran-1].Run()
	return true
}

func (r *rig) wrote() error {
	if r.ran == 0 {
		return nil
	}
	w := r.writes[0]
	r.writes = slices.Delete(r.writes, 0, 1)
	r.ran--
	return r.log.Wrote(w)
}

// flush writes all that waits.
func (r *rig) flush() error {
	for {
		for r.run() {
		}
		for r.ran > 0 {
			if err := r.wrote(); err != nil {
				return err
			}
		}
		if !r.take() {
			return nil
		}
	}
}

// settle writes and syncs all that waits.
func (r *rig) settle() error {
	for {
		if err := r.flush(); err != nil {
			return err
		}
		if r.sync == nil {
			r.sync = r.log.TakeSync()
		}
		if r.sync == nil {
			return nil
		}
		s := r.sync
		r.sync = nil
		s.Run()
		if err := r.log.Synced(s); err != nil {
			return err
		}
	}
}

// checkpoint is what the store does now and then.
func (r *rig) checkpoint() {
	m := r.log.RecoveryMark()
	r.point = m.End
	r.start = r.log.StartOffset()
	r.log.Checkpointed(m)
}

// stop closes the log.
func (r *rig) stop() error {
	if err := r.settle(); err != nil {
		return err
	}
	c := r.log.TakeClose()
	if c == nil {
		return fmt.Errorf("nothing is out, and the log cannot be closed")
	}
	c.Run()
	return r.log.Closed(c)
}

// read reads like a consumer does, with jobs as far as they are needed, and says where the bytes came from.
func (r *rig) read(q commitlog.ReadRequest) ([]byte, string, error) {
	return r.finish(r.log.Read(q))
}

// finish runs the jobs of a read to the end.
func (r *rig) finish(res commitlog.ReadResult, job *commitlog.ReadJob, err error) ([]byte, string, error) {
	from := "memory"
	for job != nil {
		from = "file"
		job.Run()
		res, job, err = r.log.Finish(job)
	}
	if err != nil {
		return nil, from, err
	}
	var out []byte
	for i := range res.Spans() {
		out = append(out, res.Span(i).Bytes...)
		from = "memory"
	}
	if res.File != nil {
		from = "file"
		out = make([]byte, res.Length)
		n, err := res.File.ReadAt(out, res.Position)
		if n < len(out) {
			return nil, from, err
		}
		r.must(res.File.Close())
	}
	res.Release()
	return out, from, nil
}

// batches reads the log from an offset on and splits what it gets.
func (r *rig) batches(q commitlog.ReadRequest) ([]record.Batch, error) {
	p, _, err := r.read(q)
	var all []record.Batch
	for len(p) > 0 && err == nil {
		b, rest, bad := record.Next(p)
		if bad != nil {
			break // cut at MaxBytes
		}
		all, p = append(all, b), rest
	}
	return all, err
}

// all reads the whole log.
func (r *rig) all() []record.Batch {
	r.t.Helper()
	var all []record.Batch
	at := r.log.StartOffset()
	for at < r.log.EndOffset() {
		got, err := r.batches(commitlog.ReadRequest{From: at, UpTo: r.log.EndOffset(), MaxBytes: 1 << 20, AtLeastOne: true})
		r.must(err)
		if len(got) == 0 {
			r.t.Fatalf("nothing at %d, the log ends at %d", at, r.log.EndOffset())
		}
		for _, b := range got {
			r.must(b.CheckCRC())
		}
		all = append(all, got...)
		at = got[len(got)-1].NextOffset()
	}
	return all
}

func (r *rig) content(name string) []byte {
	r.t.Helper()
	f, err := r.disk.Open(dir+"/"+name, env.ReadOnly)
	r.must(err)
	size, err := f.Size()
	r.must(err)
	p := make([]byte, size)
	if size > 0 {
		_, err = f.ReadAt(p, 0)
		r.must(err)
	}
	r.must(f.Close())
	return p
}

func (r *rig) names() []string {
	entries, err := r.disk.ReadDir(dir)
	r.must(err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name)
	}
	return all
}
