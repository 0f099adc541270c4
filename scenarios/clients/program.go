package clients

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// orderLimit bounds one order to a program; the slowest is a load over a restart.
const orderLimit = 120 * time.Second

// Program is a driver in another process. An order is one line of JSON on its
// standard input; its answers are lines on its standard output: any number of
// {"progress": n}, then {"result": ...}, {"error": text} or {"lacks": text}.
type Program struct {
	name    string
	traits  Traits
	process *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	stderr  tail
}

var _ Driver = (*Program)(nil)

// order is what a program is told. Fields that an order does not need are absent.
type order struct {
	Do         string          `json:"do"`
	Broker     string          `json:"broker,omitempty"`
	Topic      string          `json:"topic,omitempty"`
	Partition  int32           `json:"partition"`
	Partitions int             `json:"partitions,omitempty"`
	Timestamp  int64           `json:"timestamp,omitempty"`
	Produce    *ProduceOptions `json:"produce,omitempty"`
	Load       *LoadOptions    `json:"load,omitempty"`
	From       map[int32]int64 `json:"from,omitempty"`
	Records    []Record        `json:"records,omitempty"`
	Check      string          `json:"check,omitempty"`
}

type answer struct {
	Progress *int            `json:"progress"`
	Result   json.RawMessage `json:"result"`
	Error    *string         `json:"error"`
	Lacks    *string         `json:"lacks"`
}

// StartProgram starts a driver's process and introduces it to the broker.
func StartProgram(address string, command ...string) (*Program, error) {
	p := &Program{process: exec.Command(command[0], command[1:]...)}
	p.process.Stderr = &p.stderr
	var err error
	if p.in, err = p.process.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	out, err := p.process.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	p.out = bufio.NewReaderSize(out, 1<<16)
	if err := p.process.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	var hello struct {
		Name   string `json:"name"`
		Traits Traits `json:"traits"`
	}
	if err := p.tell(order{Do: "hello", Broker: address}, &hello, nil); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.name, p.traits = hello.Name, hello.Traits
	return p, nil
}

// tell sends an order and reads the answers to it.
func (p *Program) tell(o order, result any, progress func(int)) error {
	line, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("order %s: %w", o.Do, err)
	}
	stuck := time.AfterFunc(orderLimit, func() { _ = p.process.Process.Kill() })
	defer stuck.Stop()
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("order %s: %w: %s", o.Do, err, p.stderr.String())
	}
	for {
		line, err := p.out.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("order %s: no answer: %w: %s", o.Do, err, p.stderr.String())
		}
		var a answer
		if err := json.Unmarshal(line, &a); err != nil {
			return fmt.Errorf("order %s: answer %.200s: %w", o.Do, line, err)
		}
		switch {
		case a.Progress != nil:
			progress(*a.Progress)
		case a.Lacks != nil:
			return Lacks(*a.Lacks)
		case a.Error != nil:
			return fmt.Errorf("%s: %s", o.Do, *a.Error)
		case result == nil:
			return nil
		default:
			return json.Unmarshal(a.Result, result)
		}
	}
}

// Name implements [Driver].
func (p *Program) Name() string { return p.name }

// Traits implements [Driver].
func (p *Program) Traits() Traits { return p.traits }

// Create implements [Driver].
func (p *Program) Create(topic string, partitions int) error {
	return p.tell(order{Do: "create", Topic: topic, Partitions: partitions}, nil, nil)
}

// Topics implements [Driver].
func (p *Program) Topics() (topics map[string]int, err error) {
	err = p.tell(order{Do: "topics"}, &topics, nil)
	return topics, err
}

// Delete implements [Driver].
func (p *Program) Delete(topic string) error {
	return p.tell(order{Do: "delete", Topic: topic}, nil, nil)
}

// Produce implements [Driver].
func (p *Program) Produce(topic string, o ProduceOptions, records []Record) (acked []Record, err error) {
	var places []struct {
		Partition int32 `json:"partition"`
		Offset    int64 `json:"offset"`
	}
	if err := p.tell(order{Do: "produce", Topic: topic, Produce: &o, Records: records}, &places, nil); err != nil {
		return nil, err
	}
	if len(places) != len(records) {
		return nil, fmt.Errorf("produce: %d of %d records answered", len(places), len(records))
	}
	acked = append(acked, records...)
	for i, place := range places {
		acked[i].Partition, acked[i].Offset = place.Partition, place.Offset
	}
	return acked, nil
}

// Read implements [Driver].
func (p *Program) Read(topic string, from map[int32]int64) (records []Record, err error) {
	err = p.tell(order{Do: "read", Topic: topic, From: from}, &records, nil)
	return records, err
}

// OffsetAt implements [Driver].
func (p *Program) OffsetAt(topic string, partition int32, timestamp int64) (offset int64, err error) {
	err = p.tell(order{Do: "offset-at", Topic: topic, Partition: partition, Timestamp: timestamp}, &offset, nil)
	return offset, err
}

// Load implements [Driver].
func (p *Program) Load(topic string, o LoadOptions, progress func(acked int)) (acks []Ack, err error) {
	err = p.tell(order{Do: "load", Topic: topic, Load: &o}, &acks, progress)
	return acks, err
}

// Checks lists the checks of its own that the program brings along.
func (p *Program) Checks() (names []string, err error) {
	err = p.tell(order{Do: "checks"}, &names, nil)
	return names, err
}

// Check runs one of the program's own checks.
func (p *Program) Check(name string) error {
	return p.tell(order{Do: "check", Check: name}, nil, nil)
}

// Close ends the program.
func (p *Program) Close() error {
	stuck := time.AfterFunc(20*time.Second, func() { _ = p.process.Process.Kill() })
	defer stuck.Stop()
	if err := p.in.Close(); err != nil {
		return fmt.Errorf("close %s: %w", p.name, err)
	}
	if err := p.process.Wait(); err != nil {
		return fmt.Errorf("close %s: %w: %s", p.name, err, p.stderr.String())
	}
	return nil
}

// tail keeps the end of what a process printed.
type tail struct {
	mutex sync.Mutex
	text  []byte
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	const most = 4000
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.text = append(t.text, p...)
	if extra := len(t.text) - most; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return strings.TrimSpace(string(t.text))
}
