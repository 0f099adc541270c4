// Package journal is the broker's write-ahead journal: one write and one sync make the appends of every partition
// durable together (group commit).
//
// The journal is a ring of files. One is current and takes the groups; those before it are sealed and wait until the
// logs that they cover are synced themselves; those behind it are ready: written with zeroes and named in advance, so that a
// commit changes neither a length nor a directory. A sealed file that no log needs any more gets a new header and the next
// generation, and is ready again. Until the first file of zeroes is there, the current file simply grows.
//
// On disk, all numbers big-endian, in the journal's own directory:
//
//	<generation, 20 digits>.journal   one file of the ring; generations have no gap
//	<generation, 20 digits>.spare     a file of no generation whose content counts for nothing
//	*.new                             a file in the making, removed at the next start
//
// A file is a header block of 4096 bytes and groups, each of which starts at a multiple of 4096:
//
//	file header                        group header                        entry header
//	 0 "LIGNUMJ1"                       0 "LGRP"                            0 kind int8, 3 bytes 0
//	 8 CRC-32C of 16..47                4 CRC-32C of 8..63                  4 partition int32
//	12 zero                             8 CRC-32C of the entries            8 topic id, 16 bytes
//	16 generation                      12 number of entries uint32         24 offset int64
//	24 salt                            16 generation                       32 epoch int32
//	32 first needed generation         24 salt                             36 zero
//	40 zero                            32 group number                     40 length of the data int64
//	                                   40 first needed generation          48 data
//	                                   48 length without the padding
//	                                   56 zero
//
// What makes a group part of the journal:
//
//	J1  Groups are numbered without a gap, across files and across restarts. The next group is written only when the one before
//	    is durable, so at most one group is torn, and it is the last.
//	J2  The salt is drawn anew for each generation of a file. Neither what a recycled file held before, nor bytes that a client
//	    put into a record, are ever taken for a group.
//	J3  A bad group is a torn tail only if no group comes after it, in its file (same generation and salt) or a later one.
//	    Otherwise it is corruption, and so is a missing file; neither is ever skipped.
//	J4  A file's name counts only when its content is durable: it is made under another name, synced, renamed, and the directory
//	    synced, all before the first group.
//	J5  A commit carries the sequences that it made durable. What was queued while it ran is not among them.
//	J6  The files that are left hold every entry from the first needed generation on, in the order of Add. Which of them a log still needs
//	    is for the logs' owner to say: the journal only keeps a file until each log in it is called safe.
//
// A group holds at most Options.GroupBytes, except that a single larger entry makes a group of its own. A group that is larger than a whole
// file makes that file grow past its nominal size; it is cut back when it is recycled. Large entries do not bypass the journal: a
// bypass would have to wait for a sync of the log's own files, and the entries of that log before and behind it would have to be ordered
// around it, while a journal write of that size costs little more than its share of the disk.
package journal
