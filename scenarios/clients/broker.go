package clients

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// startLimit bounds how long a broker may take until it accepts connections.
const startLimit = 60 * time.Second

// Broker is the broker under test: a process of its own, or one that was running
// already ([Broker.Foreign]).
type Broker struct {
	Address string // host:port; several, with commas between them, for a cluster
	DataDir string // empty if foreign
	command []string
	logFile string
	// controller is where a node of a cluster talks to the other controllers.
	controller string
	process    *exec.Cmd
}

// ErrForeign is the answer where a broker must be killed, restarted or looked
// into that was running before the test.
var ErrForeign = errors.New("LIGNUM_CLIENTS_BROKER names a broker that is not ours to stop or to look into")

// Binary is the broker's binary: LIGNUM_BINARY, or what the parent module builds,
// put into dir.
func Binary(dir string) (string, error) {
	if path := os.Getenv("LIGNUM_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	path := filepath.Join(dir, "lignum")
	build := exec.Command("go", "build", "-o", path, "./cmd/lignum")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the broker: %w\n%s", err, out)
	}
	return path, nil
}

// Running is the broker that LIGNUM_CLIENTS_BROKER names, nil if none.
func Running() *Broker {
	if address := os.Getenv("LIGNUM_CLIENTS_BROKER"); address != "" {
		return &Broker{Address: address}
	}
	return nil
}

// Start starts binary with its data under dir on a free port and waits until it
// accepts connections.
func Start(binary, dir string) (*Broker, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a free port: %w", err)
	}
	address := l.Addr().String()
	b := &Broker{Address: address, DataDir: dir, command: []string{binary, "serve", "--data-dir", dir, "--listen", address}, logFile: dir + ".log"}
	if err := l.Close(); err != nil {
		return nil, fmt.Errorf("find a free port: %w", err)
	}
	return b, b.Restart()
}

// Foreign says that the broker was running before the test.
func (b *Broker) Foreign() bool { return b.DataDir == "" }

// Restart starts the broker again, on the same port and data.
func (b *Broker) Restart() error {
	if b.Foreign() {
		return ErrForeign
	}
	if err := b.launch(); err != nil {
		return err
	}
	return b.awaitConnection()
}

// launch starts the process and waits for nothing.
func (b *Broker) launch() error {
	out, err := os.OpenFile(b.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open the broker's log: %w", err)
	}
	defer out.Close() // the process has its own descriptor
	b.process = exec.Command(b.command[0], b.command[1:]...)
	b.process.Stdout, b.process.Stderr = out, out
	if err := b.process.Start(); err != nil {
		return fmt.Errorf("start %s: %w", b.command[0], err)
	}
	return nil
}

// awaitConnection returns once the broker accepts connections: then it must be
// ready. (Apache Kafka accepts a little earlier, and lets the clients wait.)
func (b *Broker) awaitConnection() error {
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", b.Address, time.Second)
		if err == nil {
			return conn.Close()
		}
		if b.Exited() {
			return fmt.Errorf("the broker ended at once: %s", b.LogTail())
		}
	}
	return fmt.Errorf("the broker accepts no connection within %v: %s", startLimit, b.LogTail())
}

// Exited says whether the process has ended by itself: it is a zombie then, for
// nobody has waited for it.
func (b *Broker) Exited() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.process.Process.Pid))
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "Z")
}

// Kill ends the broker with kill -9.
func (b *Broker) Kill() error {
	if b.Foreign() {
		return ErrForeign
	}
	if err := b.process.Process.Kill(); err != nil {
		return fmt.Errorf("kill the broker: %w", err)
	}
	b.reap()
	return nil
}

// Stop ends the broker in good order.
func (b *Broker) Stop() error {
	if b.Foreign() {
		return ErrForeign
	}
	if b.process == nil {
		return nil
	}
	if err := b.process.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the broker: %w", err)
	}
	b.reap()
	return nil
}

// signal sends a signal that does not end the process.
func (b *Broker) signal(s syscall.Signal) error {
	if err := b.process.Process.Signal(s); err != nil {
		return fmt.Errorf("send %v to the broker: %w", s, err)
	}
	return nil
}

// reap waits for the end of the process; how it ended does not matter.
func (b *Broker) reap() {
	_ = b.process.Wait()
	b.process = nil
}

// PartitionDir is the directory of a partition, wherever under the data directory.
func (b *Broker) PartitionDir(topic string, partition int32) (string, error) {
	if b.Foreign() {
		return "", ErrForeign
	}
	name := fmt.Sprintf("%s-%d", topic, partition)
	var found string
	err := filepath.WalkDir(b.DataDir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == name {
			found = path
			return filepath.SkipAll
		}
		return err
	})
	if err == nil && found == "" {
		err = fmt.Errorf("no directory %s under %s", name, b.DataDir)
	}
	return found, err
}

// LogTail is the end of what the broker printed.
func (b *Broker) LogTail() string {
	const most = 4000
	f, err := os.Open(b.logFile)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if end, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, end-most), io.SeekStart)
	}
	tail, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	return string(tail)
}
