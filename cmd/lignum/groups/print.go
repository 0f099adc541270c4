package groups

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// PrintJSON prints what a command found, for programs. A list that is empty is [].
func PrintJSON[T any](out io.Writer, list []T) error {
	if list == nil {
		list = []T{}
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(list)
}

func table(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) }

// PrintList prints groups, one a line.
func PrintList(out io.Writer, list []Listed) error {
	w := table(out)
	fmt.Fprintln(w, "group\ttype\tstate\tprotocol type\tcoordinator")
	for _, l := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\n", l.Group, orDash(l.Type), orDash(l.State), orDash(l.ProtocolType), l.Coordinator)
	}
	return w.Flush()
}

// PrintDescribed prints groups with their members and offsets.
func PrintDescribed(out io.Writer, list []Described) error {
	for i := range list {
		if i > 0 {
			fmt.Fprintln(out)
		}
		if err := list[i].print(out); err != nil {
			return err
		}
	}
	return nil
}

func (d *Described) print(out io.Writer) error {
	fmt.Fprintf(out, "group %s, %s, %s", d.Group, d.Type, d.State)
	if d.Protocol != "" {
		fmt.Fprintf(out, ", assignor %s", d.Protocol)
	}
	if d.Epoch != nil {
		fmt.Fprintf(out, ", epoch %d", *d.Epoch)
	}
	fmt.Fprintf(out, ", coordinator %s\n", d.Coordinator)
	w := table(out)
	if len(d.Members) > 0 {
		fmt.Fprintln(w, "\nmember\tinstance\tclient\thost\tpartitions")
		for _, m := range d.Members {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", m.ID, orDash(m.InstanceID), m.ClientID, m.Host, orDash(partitionsText(m.Assigned)))
		}
	}
	if len(d.Offsets) > 0 {
		fmt.Fprintln(w, "\ntopic\tpartition\tcommitted\tend\tlag\tmember")
		for _, p := range d.Offsets {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", p.Topic, p.Partition, numberOrDash(p.Committed), numberOrDash(p.End), numberOrDash(p.Lag), orDash(p.Member))
		}
	}
	return w.Flush()
}

func partitionsText(list []TopicPartitions) string {
	var topics []string
	for _, t := range list {
		var numbers []string
		for _, p := range t.Partitions {
			numbers = append(numbers, strconv.Itoa(int(p)))
		}
		topics = append(topics, t.Topic+":"+strings.Join(numbers, ","))
	}
	return strings.Join(topics, " ")
}

// PrintPlan prints what a reset does.
func PrintPlan(out io.Writer, plan []Change) error {
	w := table(out)
	fmt.Fprintln(w, "group\ttopic\tpartition\told offset\tnew offset\tnote")
	for _, c := range plan {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%s\n", c.Group, c.Topic, c.Partition, numberOrDash(c.Old), c.New, c.Note)
	}
	return w.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func numberOrDash(n *int64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatInt(*n, 10)
}
