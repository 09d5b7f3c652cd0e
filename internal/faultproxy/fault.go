package faultproxy

import (
	"net/http"
	"time"
)

// A Fault is one thing that goes wrong with an exchange. Those in this file
// are made by functions, so that a test reads like the table it checks.
type Fault struct {
	request  flow // what happens to the body on its way to the server
	response flow // and to the server's answer
	answer   *Answer
	keep     bool // answer without passing the request on
	unread   bool // answer before the body was read
	drop     bool // close the connection after the exchange
}

// flow says what happens to bytes that pass.
type flow struct {
	do   doing
	at   int64 // after so many bytes of the body
	rate int64 // bytes a second, 0 is no limit
}

type doing int

const (
	pass doing = iota
	doReset
	doClose
	doStall
	doFlip
	doShorten
)

// An Answer is what the proxy says in the server's place.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// ResetRequest resets the connection after n bytes of the request's body have
// reached the proxy. The server sees a request that breaks off, or none at
// all for a body of that length or less.
func ResetRequest(n int64) Fault { return Fault{request: flow{do: doReset, at: n}} }

// StallRequest reads n bytes of the request's body and then nothing more, and
// does not answer, until the other side goes away. The server sees a request
// that breaks off: a proxy that does not read cannot tell when the other side
// has gone.
func StallRequest(n int64) Fault { return Fault{request: flow{do: doStall, at: n}} }

// FlipRequest changes the byte at n of the request's body.
func FlipRequest(n int64) Fault { return Fault{request: flow{do: doFlip, at: n}} }

// LoseAnswer passes the request on, waits for the server's answer and resets
// the connection in place of giving it: the server has done it, nobody knows.
func LoseAnswer() Fault { return Fault{response: flow{do: doReset, at: -1}} }

// ResetResponse resets the connection after n bytes of the answer's body.
func ResetResponse(n int64) Fault { return Fault{response: flow{do: doReset, at: n}} }

// CloseResponse ends the connection in an orderly way after n bytes of the
// answer's body, though the answer has announced more.
func CloseResponse(n int64) Fault { return Fault{response: flow{do: doClose, at: n}} }

// StallResponse gives n bytes of the answer's body and then nothing more.
// Below zero, not even the status is given.
func StallResponse(n int64) Fault { return Fault{response: flow{do: doStall, at: n}} }

// Shorten gives n bytes of the answer's body and announces no more than them,
// so that only who knows the true length can tell.
func Shorten(n int64) Fault { return Fault{response: flow{do: doShorten, at: n}} }

// FlipResponse changes the byte at n of the answer's body.
func FlipResponse(n int64) Fault { return Fault{response: flow{do: doFlip, at: n}} }

// Slow lets so many bytes a second pass in each direction.
func Slow(rate int64) Fault { return Fault{request: flow{rate: rate}, response: flow{rate: rate}} }

// CloseAfter passes the exchange on unharmed and closes the connection after
// it without having announced that.
func CloseAfter() Fault { return Fault{drop: true} }

// Say answers in the server's place after it has read the body, and passes
// nothing on: an error, or a lie.
func Say(a Answer) Fault { return Fault{answer: &a, keep: true} }

// SayAtOnce is Say before the body was read.
func SayAtOnce(a Answer) Fault { return Fault{answer: &a, keep: true, unread: true} }

// SayAfter passes the request on and then gives this answer in place of the
// server's.
func SayAfter(a Answer) Fault { return Fault{answer: &a} }

// Status answers with a status and a short text, and a Retry-After header
// unless that is zero.
func Status(status int, retryAfter time.Duration) Fault {
	a := Answer{Status: status, Header: http.Header{"Content-Type": {"text/plain"}}, Body: http.StatusText(status) + "\n"}
	if retryAfter > 0 {
		a.Header.Set("Retry-After", seconds(retryAfter))
	}
	return Say(a)
}
