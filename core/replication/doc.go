// Package replication keeps a broker's replicas in step with the rest of the cluster: it fetches for those that follow, and asks the
// controller for the in-sync sets that those that lead want.
//
// For each leader there is one fetcher (num.replica.fetchers of them, if more are asked for), with an incremental fetch session (KIP-227):
// a request names only the partitions whose position has changed. A fetch says that everything below its offset is safe here, so a partition
// to which something was appended is named again only when that is on the disk (D3); the fetcher waits for that before it goes on.
//
// A leader that has nothing new holds a fetch for replica.fetch.wait.max.ms. If a partition comes up in the meantime the fetcher sends a second
// request behind the first, which ends the wait of that: a new leader need not wait for its followers' fetches to come home.
//
// Nothing is sent while an input is handled, only at the end of the drain: by then all that the input has changed is known everywhere.
package replication
