package quorum

import (
	"go.etcd.io/raft/v3"

	"lignum/core/invariant"
)

// silent is raft's logger. What raft has to say is seen in its state and its messages; where it would stop the process, the
// process stops as for any other broken promise.
type silent struct{}

var _ raft.Logger = silent{}

func (silent) Debug(...any)            {}
func (silent) Debugf(string, ...any)   {}
func (silent) Info(...any)             {}
func (silent) Infof(string, ...any)    {}
func (silent) Warning(...any)          {}
func (silent) Warningf(string, ...any) {}
func (silent) Error(...any)            {}
func (silent) Errorf(string, ...any)   {}

func (silent) Fatal(v ...any)                 { invariant.Violated("raft: %v", v) }
func (silent) Fatalf(format string, v ...any) { invariant.Violated("raft: "+format, v...) }
func (silent) Panic(v ...any)                 { invariant.Violated("raft: %v", v) }
func (silent) Panicf(format string, v ...any) { invariant.Violated("raft: "+format, v...) }
