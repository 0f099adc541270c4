package groups

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Row is a line of a file of offsets, as Kafka's tool writes and reads them: topic,partition,offset, or with the group before these if there
// are several groups.
type Row struct {
	Group     string // empty if the file has no groups
	Topic     string
	Partition int32
	Offset    int64
}

// ReadRows reads such a file. All lines have a group or none has.
func ReadRows(in io.Reader) ([]Row, error) {
	lines := csv.NewReader(in)
	lines.TrimLeadingSpace = true
	var rows []Row
	seen := map[Row]bool{}
	for {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		at, _ := lines.FieldPos(0)
		var r Row
		switch len(fields) {
		case 3:
		case 4:
			r.Group, fields = fields[0], fields[1:]
		default:
			return nil, fmt.Errorf("line %d has %d fields, want topic,partition,offset or group,topic,partition,offset", at, len(fields))
		}
		index, err := strconv.ParseInt(fields[1], 10, 32)
		if err != nil || index < 0 {
			return nil, fmt.Errorf("line %d: %q is no partition", at, fields[1])
		}
		r.Topic, r.Partition = fields[0], int32(index)
		if seen[r] {
			return nil, fmt.Errorf("line %d: partition %d of topic %s is there twice", at, index, r.Topic)
		}
		seen[r] = true
		if r.Offset, err = strconv.ParseInt(fields[2], 10, 64); err != nil || r.Offset < 0 {
			return nil, fmt.Errorf("line %d: %q is no offset", at, fields[2])
		}
		rows = append(rows, r)
	}
}

// WriteRows writes a plan as such a file, with the new offsets.
func WriteRows(out io.Writer, plan []Change, withGroup bool) error {
	w := csv.NewWriter(out)
	for _, c := range plan {
		fields := []string{c.Group, c.Topic, strconv.Itoa(int(c.Partition)), strconv.FormatInt(c.New, 10)}
		if !withGroup {
			fields = fields[1:]
		}
		if err := w.Write(fields); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
