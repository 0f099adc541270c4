package perf

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a broker that was started for the measurement.
type process struct {
	address string
	cmd     *exec.Cmd
	log     *tail
	ended   chan struct{}
	end     error // how it ended, once ended is closed
}

// startBroker starts a binary on a free port and an empty directory, and waits until it accepts connections.
func startBroker(ctx context.Context, binary, dir string, args []string) (*process, error) {
	self, err := os.Executable()
	if err != nil && binary == "" {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &process{address: l.Addr().String(), log: &tail{}, ended: make(chan struct{})}
	l.Close()
	args = append([]string{"serve", "--data-dir", filepath.Join(dir, "data"), "--listen", p.address}, args...)
	p.cmd = exec.Command(cmp.Or(binary, self), args...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the broker: %w", err)
	}
	go func() {
		p.end = p.cmd.Wait()
		close(p.ended)
	}()
	if err := p.awaitListen(ctx); err != nil {
		p.stop()
		return nil, p.explain(err)
	}
	return p, nil
}

func (p *process) awaitListen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var d net.Dialer
	for {
		c, err := d.DialContext(ctx, "tcp", p.address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.ended:
			return fmt.Errorf("the broker ended: %w", p.end)
		case <-ctx.Done():
			return fmt.Errorf("the broker does not listen on %s: %w", p.address, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// stop asks the broker to end, and makes it end if it does not.
func (p *process) stop() {
	if p.cmd.Process.Signal(syscall.SIGTERM) == nil {
		select {
		case <-p.ended:
			return
		case <-time.After(20 * time.Second):
		}
	}
	p.cmd.Process.Kill()
	<-p.ended
}

// explain adds the last lines that the broker wrote to an error.
func (p *process) explain(err error) error {
	if p == nil || err == nil || p.log.String() == "" {
		return err
	}
	return fmt.Errorf("%w; the broker's last words:\n%s", err, p.log)
}

// tail keeps the last part of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailBytes = 4 * kib

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if n := len(t.kept) - tailBytes; n > 0 {
		t.kept = append(t.kept[:0], t.kept[n:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.kept))
}

// cpuTime is what a measurement cost the broker; negative if that is not known.
type cpuTime time.Duration

// per gives milliseconds for each megabyte.
func (c cpuTime) per(n int64) string {
	if c < 0 || n == 0 {
		return ""
	}
	return number(float64(c) / 1e6 / (float64(n) / 1e6))
}

// observe runs a load and reads the broker's processor time before and after it, if the broker is ours.
func (p *process) observe(ctx context.Context, l load) (outcome, cpuTime, error) {
	if p == nil {
		r, err := l.run(ctx)
		return r, -1, err
	}
	var before time.Duration
	var known bool
	l.starting = func() { before, known = p.cpu() }
	r, err := l.run(ctx)
	after, stillKnown := p.cpu()
	if !known || !stillKnown {
		return r, -1, err
	}
	return r, cpuTime(after - before), err
}

// cpu is the processor time of the broker so far, where the system tells it as Linux does.
func (p *process) cpu() (time.Duration, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, false
	}
	// The name, in parentheses, may hold anything; the state follows it, and user and system time 11 fields later.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, false
	}
	var user, system int64
	if _, err := fmt.Sscan(string(fields[11])+" "+string(fields[12]), &user, &system); err != nil {
		return 0, false
	}
	const tick = time.Second / 100 // USER_HZ, the same on every architecture
	return time.Duration(user+system) * tick, true
}
