//go:build unix

package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestOutlivesItsLog: the reader of its log goes, and the broker goes on; the terminal goes, and it stops in order.
func TestOutlivesItsLog(t *testing.T) {
	broker := exec.Command(os.Args[0], "serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")
	broker.Env = append(os.Environ(), asMain+"=1")
	log, err := broker.StderrPipe()
	if err == nil {
		err = broker.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Process.Kill()
	address, lines := "", bufio.NewScanner(log)
	for address == "" && lines.Scan() {
		if strings.Contains(lines.Text(), "RUNNING") {
			address = regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(lines.Text())
		}
	}
	if address == "" {
		t.Fatal("it does not start")
	}
	_ = log.Close()
	for range 3 {
		nc, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal("it is gone: ", err)
		}
		_, _ = nc.Write([]byte("GET / HTTP/1.1\r\n\r\n")) // is worth a line
		_, _ = io.ReadAll(nc)
		_ = nc.Close()
	}
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal("it is gone: ", err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	_, _ = nc.Write([]byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff})
	var size int32
	if err := binary.Read(nc, binary.BigEndian, &size); err != nil || size < 10 {
		t.Fatalf("an answer of %d bytes, %v", size, err)
	}
	stop := syscall.SIGHUP
	if signal.Ignored(stop) { // by who runs the test, and so by the broker
		stop = syscall.SIGTERM
	}
	if err := broker.Process.Signal(stop); err != nil {
		t.Fatal(err)
	}
	if err := broker.Wait(); err != nil {
		t.Errorf("it did not stop in order: %v", err)
	}
}

// TestEndOfTheFailed: a broker that has failed ends, also if its disk hangs, at once if it is told to.
func TestEndOfTheFailed(t *testing.T) {
	hangs := func() { select {} }
	ended := func(err error, signals <-chan os.Signal, grace time.Duration, everything func()) bool {
		done := make(chan struct{})
		go func() {
			end(err, signals, grace, everything)
			close(done)
		}()
		select {
		case <-done:
			return true
		case <-time.After(300 * time.Millisecond):
			return false
		}
	}
	told := make(chan os.Signal, 1)
	told <- syscall.SIGTERM
	failure := errors.New("sync failed")
	switch {
	case !ended(failure, nil, time.Millisecond, hangs):
		t.Error("it waits for a disk that hangs")
	case !ended(failure, told, time.Hour, hangs):
		t.Error("it does not stop when it is told to")
	case ended(failure, nil, time.Hour, hangs):
		t.Error("it does not wait at all")
	case ended(nil, told, time.Millisecond, hangs):
		t.Error("a stop in order does not wait for the disk")
	case !ended(nil, nil, time.Hour, func() {}):
		t.Error("it does not end")
	}
}
