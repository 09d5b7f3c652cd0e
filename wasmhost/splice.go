package wasmhost

import (
	"encoding/binary"
	"errors"
	"io"
	"time"
)

// spliceTime is how long one copy may go on once it has moved something, and
// spliceLong how long it may if nothing else has come that the guest waits for.
const (
	spliceTime = 10 * time.Millisecond
	spliceLong = 100 * time.Millisecond
)

// splice moves up to limit bytes. It waits until something can be moved, and
// then for more only for a while: a guest that pipes through a command has to
// serve its other end as well, and has timers.
func (i *instance) splice(dst, src handle, limit int64) (total int64, err error) {
	p := &patience{i: i, dst: dst, src: src}
	defer p.end()
	for total < limit {
		b, err := unlessOver(p, src.peek)
		if errors.Is(err, io.EOF) || again(err) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		b = b[:min(int64(len(b)), limit-total)]
		n, err := unlessOver(p, func() (int, error) { return dst.write(b) })
		src.advance(n)
		total += int64(n)
		if again(err) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		p.begin()
	}
	return total, nil
}

// A patience is how long a splice waits for more.
type patience struct {
	i        *instance
	dst, src handle
	began    time.Time
	timer    *time.Timer
	over     <-chan time.Time
}

// begin is called when something was moved; before, there is no end to it.
func (p *patience) begin() {
	if p.timer == nil {
		p.began, p.timer = time.Now(), time.NewTimer(spliceTime)
		p.over = p.timer.C
	}
}

func (p *patience) end() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// lost is called when the timer has fired. Otherwise it begins anew.
func (p *patience) lost() bool {
	if time.Since(p.began) >= spliceLong || p.i.awaits(p.dst, p.src) {
		return true
	}
	p.timer.Reset(spliceTime)
	return false
}

// unlessOver waits as wait does, but returns errAgain once patience is lost.
func unlessOver[T any](p *patience, attempt func() (T, error)) (T, error) {
	for {
		v, err := attempt()
		if !again(err) {
			return v, err
		}
		select {
		case <-p.i.wake:
		case <-p.over:
			if p.lost() {
				return v, errAgain
			}
		case <-p.i.ctx.Done():
			stop()
		}
	}
}

// awaits reports whether something is ready that the guest last polled, other
// than what a splice itself waits for.
func (i *instance) awaits(dst, src handle) bool {
	for subs := i.polled; len(subs) >= subscription; subs = subs[subscription:] {
		want := binary.LittleEndian.Uint16(subs[4:])
		h, ok := i.handles[int32(binary.LittleEndian.Uint32(subs))]
		if ok && h == src {
			want &^= pollRead
		}
		if ok && h == dst {
			want &^= pollWrite
		}
		if ok && ready(h, want) != 0 {
			return true
		}
	}
	return false
}
