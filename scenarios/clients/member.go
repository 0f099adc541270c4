package clients

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// envMember makes the test binary a member of a group: the name of the Go client whose member it is.
const envMember = "LIGNUM_CLIENTS_MEMBER"

// memberOrder is what a member is told, as the first line of its standard input. It then reads, tells what it has read, commits it, and goes
// on until its standard input ends; then it leaves the group in good order.
type memberOrder struct {
	Do       string `json:"do"` // member
	Broker   string `json:"broker"`
	Topic    string `json:"topic"`
	Group    string `json:"group"`
	Protocol string `json:"protocol"` // classic, consumer
	Instance string `json:"instance"` // empty: a dynamic member
}

// memberSaid is a line of a member's standard output.
type memberSaid struct {
	Values []string `json:"values"` // of records that it has read and not committed yet
	Error  *string  `json:"error"`
}

// member is a member of a group, in a process of its own.
type member struct {
	order   memberOrder
	process *exec.Cmd
	in      io.WriteCloser
	stderr  tail
	done    chan struct{}
	said    *string // the error that it told of
}

// startMember starts a member. What it reads is passed on, one call at a time.
func startMember(command []string, environment string, o memberOrder, read func(values []string)) (*member, error) {
	m := &member{order: o, process: exec.Command(command[0], command[1:]...), done: make(chan struct{})}
	m.process.Stderr = &m.stderr
	if environment != "" {
		m.process.Env = append(os.Environ(), environment)
	}
	var err error
	if m.in, err = m.process.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := m.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := m.process.Start(); err != nil {
		return nil, fmt.Errorf("start a member: %w", err)
	}
	go m.listen(out, read)
	line, err := json.Marshal(o)
	if err == nil {
		_, err = m.in.Write(append(line, '\n'))
	}
	return m, err
}

// listen ends with the process's output.
func (m *member) listen(out io.Reader, read func([]string)) {
	defer close(m.done)
	lines := bufio.NewReaderSize(out, 1<<16)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return // a kill may cut a line: what it had was not committed
		}
		var said memberSaid
		if err := json.Unmarshal(line, &said); err != nil {
			text := fmt.Sprintf("answer %.200s: %v", line, err)
			said.Error = &text
		}
		if said.Error != nil {
			m.said = said.Error
		}
		read(said.Values)
	}
}

// kill ends the member with kill -9.
func (m *member) kill() error {
	err := m.process.Process.Kill()
	<-m.done
	_ = m.process.Wait() // it was killed
	return err
}

// leave ends the member in good order.
func (m *member) leave() error {
	stuck := time.AfterFunc(30*time.Second, func() { _ = m.process.Process.Kill() })
	defer stuck.Stop()
	if err := m.in.Close(); err != nil {
		return fmt.Errorf("end a member: %w", err)
	}
	<-m.done
	err := m.process.Wait()
	if m.said != nil {
		err = errors.Join(err, errors.New(*m.said))
	}
	if err != nil {
		return fmt.Errorf("the member ended: %w: %s", err, m.stderr.String())
	}
	return nil
}

// memberProcess is a member in Go: its standard input and output.
type memberProcess struct {
	memberOrder
	ended <-chan struct{}
	mutex sync.Mutex
}

// beMember reads the order.
func beMember(stdin io.Reader) (*memberProcess, error) {
	in := bufio.NewReader(stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	p := &memberProcess{ended: ended}
	if err := json.Unmarshal(line, &p.memberOrder); err != nil {
		return nil, err
	}
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, in)
	}()
	return p, nil
}

// say tells of records that were read.
func (p *memberProcess) say(values []string) error {
	line, err := json.Marshal(memberSaid{Values: values})
	if err != nil {
		return err
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	_, err = os.Stdout.Write(append(line, '\n'))
	return err
}
