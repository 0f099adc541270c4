package clients

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The environment names where ./run has put the clients that are no Go modules.
const (
	envPython = "LIGNUM_CLIENTS_PYTHON" // a Python with kafka-python and confluent-kafka
	envNode   = "LIGNUM_CLIENTS_NODE"   // a directory with node_modules/kafkajs
	envJava   = "LIGNUM_CLIENTS_JAVA"   // a class path with kafka-clients and the compiled driver
)

// python is the command of a driver in Python.
func python(t *testing.T, script, module string) []string {
	t.Helper()
	interpreter := os.Getenv(envPython)
	if interpreter == "" {
		interpreter = "python3"
	}
	if out, err := exec.Command(interpreter, "-c", "import "+module).CombinedOutput(); err != nil {
		t.Skipf("no %s on this machine: %v: %s", module, err, out)
	}
	return []string{interpreter, "-u", filepath.Join("python", script)}
}

// java is the command of the driver in Java.
func java(t *testing.T) []string {
	t.Helper()
	classPath := os.Getenv(envJava)
	if classPath == "" {
		t.Skip("no Java client: ./run fetches it and sets " + envJava)
	}
	if _, err := exec.LookPath("java"); err != nil {
		t.Skip("no Java on this machine")
	}
	return []string{"java", "-Xms32m", "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", classPath, "Driver"}
}

func TestKafkaPython(t *testing.T) {
	command := python(t, "kafka_python.py", "kafka")
	suite(t, func(b *Broker) (Driver, error) { return StartProgram(b.Address, command...) })
}

func TestLibrdkafka(t *testing.T) {
	command := python(t, "librdkafka.py", "confluent_kafka")
	suite(t, func(b *Broker) (Driver, error) { return StartProgram(b.Address, command...) })
}

func TestJava(t *testing.T) {
	command := java(t)
	suite(t, func(b *Broker) (Driver, error) { return StartProgram(b.Address, command...) })
}

// TestJavaAdmin runs what the Java admin client asks beyond the suite; each check
// of java/Admin.java is a subtest.
func TestJavaAdmin(t *testing.T) {
	command := java(t)
	b := startBroker(t)
	p, err := StartProgram(b.Address, command...)
	must(t, err)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("client: %s", p.Name())
	names, err := p.Checks()
	must(t, err)
	for _, name := range names {
		t.Run(name, func(t *testing.T) { must(t, p.Check(name)) })
	}
}

func TestKafkaJS(t *testing.T) {
	if os.Getenv(envNode) == "" {
		t.Skip("no kafkajs: ./run fetches it and sets " + envNode)
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("no Node on this machine")
	}
	suite(t, func(b *Broker) (Driver, error) {
		f, err := openFranz(b)
		if err != nil {
			return nil, err
		}
		p, err := StartProgram(b.Address, "node", filepath.Join("node", "kafkajs.js"))
		return kafkaJS{Program: p, franz: f}, err
	})
}

// kafkaJS is kafkajs with franz-go as its reader: kafkajs reads as a member of a
// group or not at all.
type kafkaJS struct {
	*Program
	franz *franz
}

func (k kafkaJS) Read(topic string, from map[int32]int64) ([]Record, error) {
	return k.franz.Read(topic, from)
}

func (k kafkaJS) Close() error {
	return errors.Join(k.Program.Close(), k.franz.Close())
}
