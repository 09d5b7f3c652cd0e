// Command lineserver is the server that the example target-go dumps and loads:
// it keeps one text in memory, and speaks lines.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"sync"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: lineserver HOST:PORT")
	}
	l, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	s := &server{text: strings.Repeat("SET key value\n", 100_000)}
	for {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer c.Close()
			if err := s.serve(c); err != nil {
				log.Print(err)
			}
		}()
	}
}

type server struct {
	mu   sync.Mutex
	text string
}

// serve answers one command, which follows a password that may be anything.
// A text that is loaded counts only if all of it came.
func (s *server) serve(c net.Conn) error {
	r := bufio.NewReader(c)
	var lines [2]string
	for n := range lines {
		var err error
		if lines[n], err = r.ReadString('\n'); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(c, "+OK\n"); err != nil {
		return err
	}
	switch strings.TrimSpace(lines[1]) {
	case "DUMP":
		s.mu.Lock()
		text := s.text
		s.mu.Unlock()
		_, err := fmt.Fprintf(c, "%d\n%s", len(text), text)
		return err
	case "LOAD":
		b, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.text = string(b)
		s.mu.Unlock()
		_, err = fmt.Fprintf(c, "%d\n", len(b))
		return err
	}
	return nil
}
