// Package invariant stops the program when the program itself is wrong.
//
// A refusal to a client is an error code, a failing world is an error; only a state that cannot be if the code is right
// ends here. It crashes in production too: going on would write the mistake into the log.
package invariant

import "fmt"

// Violation is the value that Violated panics with; the simulator reports it as a finding.
type Violation struct {
	Message string
}

// Error makes a Violation readable wherever a panic value is printed.
func (v Violation) Error() string { return "invariant violated: " + v.Message }

// Violated panics with a Violation. Call it behind a plain if, so that the healthy path formats nothing.
func Violated(format string, args ...any) {
	panic(Violation{Message: fmt.Sprintf(format, args...)})
}
