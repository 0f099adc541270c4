// Package clients runs unmodified Kafka clients against the real broker.
//
// One suite (suite_test.go) says what every client must be able to do: create
// topics, write with every codec, every acks level and with idempotence, read it
// all back, seek by timestamp, list, delete, and come through a kill -9 with
// nothing acknowledged lost. It speaks to a client through a [Driver]: the Go
// clients and kcat have theirs here, the others are programs (python/, java/)
// that take orders as lines of JSON on their standard input (program.go).
//
// Beside the suite stand what only one client can ask (the Java admin client,
// java/Admin.java), the load under repeated kills, kcat's long round trip, and
// the on-disk format as Apache Kafka's own tools read it.
//
// The broker under test is a process (broker.go). Its binary is built from the
// parent module; LIGNUM_BINARY names another one that takes the same options,
// and ./apache-kafka is such a one. LIGNUM_CLIENTS_BROKER=host:port uses a broker
// that is already running; what needs a kill or its files is then skipped.
//
// A client that is not on the machine is skipped, and says so. The script ./run
// installs them all and prints what came of each client and check.
package clients
