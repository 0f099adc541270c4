package planted

import "fmt"

type node struct{ peers map[*node]int } // want address

func describe(n *node) string {
	if n == nil {
		return fmt.Sprintf("100%%pure")
	}
	return fmt.Sprintf("node %#v at %-10p", n.peers, n) // want address
}
