package clients

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Network is a network of its own for the nodes of a cluster: each has a network namespace with one device, and all devices lead to this
// process, which carries the packets, and loses and delays them as it is told. Place 0 is the machine itself, where clients are.
//
// It needs root, the command ip and /dev/net/tun. Nothing else of the kernel: not every one can lose packets by itself.
type Network struct {
	subnet  [3]byte
	places  []place
	mutex   sync.Mutex
	links   map[link]Link
	running sync.WaitGroup
}

// place is one end of the network.
type place struct {
	device, namespace string
	tun               *os.File
}

// link is the way from one place to another.
type link struct{ from, to int }

// Link is how one direction between two places is.
type Link struct {
	Loss  float64       // the part of the packets that is lost; 1 for all
	Delay time.Duration // that packets take besides, up to twice as long
}

// NewNetwork makes a network with so many places beside the machine itself.
func NewNetwork(nodes int) (*Network, error) {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		return nil, errors.New("network namespaces need Linux and root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return nil, fmt.Errorf("network namespaces need the command ip (iproute2): %w", err)
	}
	id := rand.IntN(250)
	n := &Network{subnet: [3]byte{10, byte(200 + rand.IntN(50)), byte(id)}, links: map[link]Link{}}
	for i := range nodes + 1 {
		p := place{device: fmt.Sprintf("lignum%d-%d", id, i)}
		if i > 0 {
			p.namespace = p.device
		}
		n.places = append(n.places, p)
		if err := n.connect(i); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	for i := range n.places {
		n.running.Go(func() { n.carry(i) })
	}
	return n, nil
}

// address is that of a place.
func (n *Network) address(i int) string {
	return netip.AddrFrom4([4]byte{n.subnet[0], n.subnet[1], n.subnet[2], byte(i + 1)}).String()
}

// within is how a command is run in a place.
func (n *Network) within(i int) []string {
	if n == nil {
		return nil
	}
	return []string{"ip", "netns", "exec", n.places[i].namespace}
}

// mtu is the size of packets; large ones keep the carrying cheap.
const mtu = 16000

// connect makes a place's namespace and device.
func (n *Network) connect(i int) error {
	p := &n.places[i]
	tun, err := openTun(p.device)
	if err != nil {
		return err
	}
	p.tun = tun
	in := "ip"
	var script []string
	if p.namespace != "" {
		in = "ip -n " + p.namespace
		script = append(script, "ip netns add "+p.namespace, "ip link set "+p.device+" netns "+p.namespace, in+" link set lo up")
	}
	script = append(script, fmt.Sprintf("%s addr add %s/24 dev %s", in, n.address(i), p.device), fmt.Sprintf("%s link set %s up mtu %d", in, p.device, mtu))
	for _, line := range script {
		words := strings.Fields(line)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", line, err, out)
		}
	}
	return nil
}

func openTun(device string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(device)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the device %s: %w", device, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), device), nil
}

// carry brings what leaves a place to where it is going.
func (n *Network) carry(from int) {
	packet := make([]byte, mtu+100)
	for {
		size, err := n.places[from].tun.Read(packet)
		if err != nil {
			return // closed
		}
		to := n.destination(packet[:size])
		if to < 0 {
			continue
		}
		n.mutex.Lock()
		l := n.links[link{from, to}]
		n.mutex.Unlock()
		switch {
		case l.Loss > 0 && rand.Float64() < l.Loss:
		case l.Delay > 0:
			late := append([]byte(nil), packet[:size]...)
			time.AfterFunc(l.Delay+rand.N(l.Delay), func() { _, _ = n.places[to].tun.Write(late) })
		default:
			_, _ = n.places[to].tun.Write(packet[:size]) // a full device loses it, as networks do
		}
	}
}

// destination is the place that an IPv4 packet goes to, -1 if none.
func (n *Network) destination(packet []byte) int {
	if len(packet) < 20 || packet[0]>>4 != 4 {
		return -1
	}
	to := int(packet[19]) - 1
	if [3]byte(packet[16:19]) != n.subnet || to < 0 || to >= len(n.places) || binary.BigEndian.Uint16(packet[2:]) != uint16(len(packet)) {
		return -1
	}
	return to
}

// Set makes the way from one place to another what it shall be.
func (n *Network) Set(from, to int, l Link) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.links[link{from, to}] = l
}

// Heal makes every way sound.
func (n *Network) Heal() {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	clear(n.links)
}

// Close takes the network away. Nothing may run in it any more.
func (n *Network) Close() error {
	var failed error
	for _, p := range n.places {
		if p.tun != nil {
			failed = errors.Join(failed, p.tun.Close())
		}
	}
	n.running.Wait()
	for _, p := range n.places {
		if p.namespace == "" {
			continue
		}
		if out, err := exec.Command("ip", "netns", "del", p.namespace).CombinedOutput(); err != nil {
			failed = errors.Join(failed, fmt.Errorf("ip netns del %s: %w: %s", p.namespace, err, out))
		}
	}
	return failed
}
