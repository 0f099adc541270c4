package perf

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// table writes markdown and keeps the first error.
type table struct {
	w   io.Writer
	err error
}

func (t *table) line(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format+"\n", args...)
	}
}

// head starts a table under a heading. The first column is text, the others are numbers.
func (t *table) head(heading string, columns ...string) {
	t.line("\n## %s\n", heading)
	t.line("| %s |", strings.Join(columns, " | "))
	t.line("| --- |%s", strings.Repeat(" ---: |", len(columns)-1))
}

func (t *table) row(cells ...string) { t.line("| %s |", strings.Join(cells, " | ")) }

// number prints three digits that count.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func micros(d time.Duration) string { return number(float64(d) / 1e3) }

func size(n int) string {
	switch {
	case n >= mib && n%mib == 0:
		return fmt.Sprintf("%d MiB", n/mib)
	case n >= kib && n%kib == 0:
		return fmt.Sprintf("%d KiB", n/kib)
	}
	return fmt.Sprintf("%d B", n)
}
