package commitlog_test

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lignum/core/commitlog"
	"lignum/core/record"
	"lignum/sim"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts in testdata print into them")

// TestScripts runs the stories in testdata: a command on each line, what they print behind a line of dashes, and so on.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) { runScript(t, name) })
	}
}

func runScript(t *testing.T, name string) {
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{rig: newRig(t, 1, tiny()), epoch: 1}
	s.create()
	var got, out strings.Builder
	skip := false
	for sc := bufio.NewScanner(strings.NewReader(string(text))); sc.Scan(); {
		line := sc.Text()
		switch {
		case line == "----":
			got.WriteString("----\n" + out.String())
			out.Reset()
			skip = true
		case line == "" || strings.HasPrefix(line, "#"):
			skip = false
			got.WriteString(line + "\n")
		case !skip:
			got.WriteString(line + "\n")
			s.command(&out, strings.Fields(line))
		}
	}
	if *rewrite {
		if err := os.WriteFile(name, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got.String() != string(text) {
		t.Errorf("%s prints\n%s\nwant\n%s", name, got.String(), text)
	}
}

// script is a rig that follows commands.
type script struct {
	*rig
	epoch record.Epoch
}

// option reads key=value.
func (s *script) option(args []string, key string, otherwise int64) int64 {
	for _, a := range args {
		if v, ok := strings.CutPrefix(a, key+"="); ok {
			n, err := strconv.ParseInt(v, 10, 64)
			s.must(err)
			return n
		}
	}
	return otherwise
}

func (s *script) command(out *strings.Builder, args []string) {
	option := func(key string, otherwise int64) int64 { return s.option(args[1:], key, otherwise) }
	report := func(err error) {
		if err != nil {
			fmt.Fprintf(out, "%s: %v\n", args[0], err)
		}
	}
	switch args[0] {
	case "settings":
		s.settings.SegmentBytes = option("segment", s.settings.SegmentBytes)
		s.settings.IndexIntervalBytes = option("interval", s.settings.IndexIntervalBytes)
		s.settings.SegmentMillis = option("millis", s.settings.SegmentMillis)
		s.settings.RetentionBytes = option("retention-bytes", s.settings.RetentionBytes)
		s.settings.RetentionMillis = option("retention-millis", s.settings.RetentionMillis)
		s.log.Configure(s.settings)
	case "append":
		s.append(report, option)
	case "epoch":
		s.epoch++
		s.log.BeginEpoch(s.epoch)
	case "pass":
		s.pass(time.Duration(option("ms", 0)) * time.Millisecond)
	case "write":
		report(s.flush())
	case "take":
		s.take()
	case "sync":
		report(s.rig.settle())
	case "checkpoint":
		s.checkpoint()
	case "truncate":
		s.log.TruncateTo(record.Offset(option("to", 0)))
	case "advance":
		s.log.AdvanceStart(record.Offset(option("to", 0)))
	case "expire":
		fmt.Fprintf(out, "expired %d\n", s.log.Expire(s.now, record.Offset(option("below", 1<<62))))
	case "delete":
		for d := s.log.TakeDeletes(); d != nil; d = s.log.TakeDeletes() {
			d.Run()
			report(s.log.Deleted(d))
		}
	default:
		s.inspect(out, args, option, report)
	}
}

func (s *script) append(report func(error), option func(string, int64) int64) {
	for range option("batches", 1) {
		stamps := slices.Repeat([]int64{option("time", int64(s.wall))}, int(option("records", 1)))
		b := batchOf(int(option("size", 30)), stamps...)
		if id := option("producer", -1); id >= 0 {
			b = batchFrom(record.ProducerID(id), int32(option("sequence", 0)), option("transaction", 0) == 1, stamps...)
		}
		if id := option("abort", -1); id >= 0 {
			b = record.NewMarker(record.ProducerID(id), 0, record.Marker{Type: record.Abort}, stamps[0])
		}
		_, err := s.log.Append(b, s.info(s.epoch))
		report(err)
	}
}

// inspect does what ends a life of the log, and what looks at it.
func (s *script) inspect(out *strings.Builder, args []string, option func(string, int64) int64, report func(error)) {
	switch args[0] {
	case "stop":
		report(s.stop())
		s.point, s.start = s.log.RecoveryPoint(), s.log.StartOffset()
	case "crash":
		s.crash(args, option)
	case "open", "open-clean":
		s.mem = sim.NewMemory()
		if err := s.open(args[0] == "open-clean"); err != nil {
			fmt.Fprintf(out, "%v\n", err)
			return
		}
		fmt.Fprintf(out, "start=%d end=%d recovery-point=%d cut=%d rebuilt=%d\n", s.log.StartOffset(), s.log.EndOffset(),
			s.log.RecoveryPoint(), s.found.CutBytes, s.found.Rebuilt)
		if s.found.CutAt != nil {
			fmt.Fprintf(out, "cut: %v\n", s.found.CutAt)
		}
	case "rot":
		s.disk.Rot(dir+"/"+args[1], option("at", 0), 0xff)
	case "spoil":
		s.disk.BadSector(dir+"/"+args[1], option("at", 0))
	case "remove":
		s.must(s.disk.Remove(dir + "/" + args[1]))
	case "put":
		s.put(args[1], args[2])
	case "fail":
		s.disk.Inject(func(op sim.Op) error {
			if op.Kind.String() == args[1] {
				return sim.ErrIO
			}
			return nil
		})
	case "heal":
		s.disk.Inject(nil)
	case "release":
		s.log.ReleaseMemory(1 << 40)
	case "state":
		fmt.Fprintf(out, "start=%d durable-start=%d end=%d written=%d recovery-point=%d segments=%d failed=%v\n", s.log.StartOffset(),
			s.log.DurableStart(), s.log.EndOffset(), s.log.WrittenEnd(), s.log.RecoveryPoint(), s.log.Segments(), s.log.Failure() != nil)
	case "files":
		for _, name := range s.names() {
			fmt.Fprintf(out, "%s %d\n", name, len(s.content(name)))
		}
	case "read":
		s.readScript(out, option)
	case "producers":
		for _, p := range s.log.Producers().All() {
			fmt.Fprintf(out, "%d: last sequence %d, transaction since %d\n", p.ID, p.LastSequence, p.TxnFirst)
		}
	default:
		s.t.Fatalf("unknown command %q", args[0])
	}
}

// crash cuts the power, with nothing kept that was not synced, or only kills the process. keep=n then leaves so many bytes of
// what the last write was about.
func (s *script) crash(args []string, option func(string, int64) int64) {
	name := s.names()
	last := ""
	for _, n := range name {
		if strings.HasSuffix(n, ".log") {
			last = n
		}
	}
	if keep := option("keep", -1); keep >= 0 {
		whole := s.content(last)
		s.must(s.flush())
		after := s.content(last)
		s.disk.Kill()
		f, err := s.disk.Open(dir+"/"+last, 1)
		s.must(err)
		s.must(f.Truncate(min(int64(len(whole))+keep, int64(len(after)))))
		s.must(f.Close())
		return
	}
	if slices.Contains(args, "power") {
		s.disk.PowerBy(sim.LoseAll())
		return
	}
	s.disk.Kill()
}

// put makes a file from another one's content.
func (s *script) put(from, to string) {
	content := s.content(from)
	f, err := s.disk.Open(dir+"/"+to, 2)
	s.must(err)
	if len(content) > 0 {
		s.must(f.WriteAt(0, content))
	}
	s.must(f.Close())
}

func (s *script) readScript(out *strings.Builder, option func(string, int64) int64) {
	q := commitlog.ReadRequest{
		From: record.Offset(option("from", 0)), UpTo: record.Offset(option("to", 1<<62)),
		MaxBytes: int(option("bytes", 1<<20)), AtLeastOne: true,
	}
	p, from, err := s.read(q)
	if errors.Is(err, commitlog.ErrOutOfRange) || err != nil {
		fmt.Fprintf(out, "read: %v\n", err)
		return
	}
	fmt.Fprintf(out, "%d bytes from %s:", len(p), from)
	for len(p) > 0 {
		b, rest, err := record.Next(p)
		if err != nil {
			fmt.Fprintf(out, " and %d bytes", len(p))
			break
		}
		fmt.Fprintf(out, " %d-%d", b.BaseOffset(), b.LastOffset())
		p = rest
	}
	out.WriteByte('\n')
}
