// Package sim is the seeded world: it implements every port of core/env deterministically, so that the broker that
// serves production can be run through crashes, torn writes and broken connections, and replayed from one number.
//
// There are two ways to use it.
//
// Directly, in unit tests: Disk, Memory, Lanes, ManualClock and Stream are plain objects that need no world. A Disk used
// directly runs every call at once; CrashAt makes the machine die in the n-th call, Inject makes calls fail, and Power, Kill
// and Walk decide what is left.
//
// In a World: hosts run whole env.Nodes on virtual time, from one event queue on one goroutine. Every I/O call inside a
// job is a scheduling point and a possible crash point. Every random draw is keyed by seed, domain, actor and
// ordinal, and every event goes into a trace hash: one seed tells one story.
//
// This package imports only the ports and core/invariant, so that every package of core can use it in its tests. What
// needs the broker itself (clients, checkers, scenarios) belongs in packages below or beside it.
package sim
