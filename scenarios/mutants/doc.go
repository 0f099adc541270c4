// Command mutants measures the simulator's strength: it puts known defects back, one at a time, and counts how many seeds of a scenario it
// takes until one of them breaks a promise. Each defect is a patch in this directory; it is applied to a copy of the tree, never to the tree
// itself. A patch whose first line is "# test: package name" is found by a seeded test of that package instead.
//
//	go run ./scenarios/mutants [-budget 2m] [-jobs 2] [id ...]
package main
