package disk_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lignum/core/env"
	"lignum/disk"
	"lignum/sim"
	"lignum/sim/paritytest"
)

func openDisk(t *testing.T, root string) *disk.Disk {
	t.Helper()
	d, err := disk.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestDiskParity(t *testing.T) {
	paritytest.Run(t, func(t *testing.T) env.Disk { return openDisk(t, t.TempDir()) })
}

// The real disk and the simulated one give the same answers to random calls.
func TestDiskLikeTheSimulated(t *testing.T) {
	for seed := range uint64(100) {
		real := openDisk(t, t.TempDir())
		paritytest.Compare(t, real, sim.NewDisk(sim.DiskOptions{Seed: seed}), seed, 300)
		if err := real.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenMakesTheDirectory(t *testing.T) {
	root := filepath.Join(t.TempDir(), "a", "b", "c")
	d := openDisk(t, root)
	if info, err := os.Stat(root); err != nil || !info.IsDir() || d.Root() != root {
		t.Errorf("%v, %v, root %s", info, err, d.Root())
	}
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Open(file); err == nil {
		t.Error("a file was opened as a directory")
	}
}

func TestLock(t *testing.T) {
	root := t.TempDir()
	d := openDisk(t, root)
	_, err := disk.Open(root)
	if !errors.Is(err, disk.ErrInUse) || !strings.Contains(err.Error(), root) {
		t.Errorf("second open: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	openDisk(t, root)
}

// A process that is killed leaves no lock behind: the kernel drops it.
func TestLockOfAnotherProcess(t *testing.T) {
	if root := os.Getenv("LIGNUM_TEST_LOCK"); root != "" {
		if _, err := disk.Open(root); err != nil {
			t.Fatal(err)
		}
		fmt.Println("held")
		select {}
	}
	root := t.TempDir()
	c := exec.Command(os.Args[0], "-test.run=^TestLockOfAnotherProcess$")
	c.Env = append(os.Environ(), "LIGNUM_TEST_LOCK="+root)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	if _, err := disk.Open(root); !errors.Is(err, disk.ErrInUse) {
		t.Errorf("open of a directory that another process has: %v", err)
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	openDisk(t, root)
}

func TestErrorsNameTheFullPath(t *testing.T) {
	d := openDisk(t, t.TempDir())
	_, err := d.Open("topic-0/00.log", env.ReadOnly)
	want := "open " + filepath.Join(d.Root(), "topic-0", "00.log") + ": does not exist"
	if err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestDescriptorReadsTheFile(t *testing.T) {
	d := openDisk(t, t.TempDir())
	f, err := d.Open("x", env.Create)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.WriteAt(0, []byte("abc")); err != nil {
		t.Fatal(err)
	}
	s, ok := f.(interface{ Descriptor() uintptr })
	if !ok || s.Descriptor() == 0 {
		t.Fatal("no descriptor")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFullVolume(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	root := t.TempDir()
	if err := os.Symlink("/dev/full", filepath.Join(root, "x")); err != nil {
		t.Fatal(err)
	}
	d := openDisk(t, root)
	f, err := d.Open("x", env.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range [][][]byte{{[]byte("abc")}, {[]byte("abc"), []byte("def")}} {
		if err := f.WriteAt(0, p...); !errors.Is(err, env.ErrNoSpace) {
			t.Errorf("error %v, want no space", err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkWriteVectored(b *testing.B) {
	d, err := disk.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	f, err := d.Open("x", env.Create)
	if err != nil {
		b.Fatal(err)
	}
	p := make([][]byte, 16)
	for i := range p {
		p[i] = bytes.Repeat([]byte{1}, 1024)
	}
	b.SetBytes(16 << 10)
	b.ReportAllocs()
	for b.Loop() {
		if err := f.WriteAt(0, p...); err != nil {
			b.Fatal(err)
		}
	}
}
