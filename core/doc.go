// Package core is the root of the broker's logic; the code is in the packages below it.
//
// Everything under core is deterministic: it does no I/O, starts no goroutine, and reaches time, chance, memory, disk and
// network only through the ports of package env. Bytes go down the stairs (request, broker, partition, log, disk), answers
// climb back as values, and no package imports one above it.
//
// This package itself holds the house test, which enforces those rules for the whole repository: who may import whom, what
// core must not use, how long a function or file may be, and that every package and exported name has a comment. There
// is no list of exceptions.
package core
