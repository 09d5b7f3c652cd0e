package wasmhost

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// abiModule is the name of the module of host functions.
const abiModule = "shield_v1"

// The flags of read and write.
const (
	flagNonblock = 1
	flagShut     = 2 // a write of nothing does what shut does
)

// instantiateABI makes the host functions known to a runtime. They are
// specified in docs/plugin-abi.md.
func instantiateABI(ctx context.Context, rt wazero.Runtime) error {
	const i32, i64 = api.ValueTypeI32, api.ValueTypeI64
	b := rt.NewHostModuleBuilder(abiModule)
	for _, f := range []struct {
		name    string
		fn      func(i *instance, m memory, a arguments) int64
		params  []api.ValueType
		results []api.ValueType
	}{
		{"open", abiOpen, []api.ValueType{i32, i32}, []api.ValueType{i32}},
		{"read", abiRead, []api.ValueType{i32, i32, i32, i32}, []api.ValueType{i32}},
		{"write", abiWrite, []api.ValueType{i32, i32, i32, i32}, []api.ValueType{i32}},
		{"shut", abiShut, []api.ValueType{i32}, []api.ValueType{i32}},
		{"copy", abiCopy, []api.ValueType{i32, i32, i64}, []api.ValueType{i64}},
		{"poll", abiPoll, []api.ValueType{i32, i32, i32}, []api.ValueType{i32}},
		{"stat", abiStat, []api.ValueType{i32, i32, i32}, []api.ValueType{i32}},
		{"close", abiClose, []api.ValueType{i32}, []api.ValueType{i32}},
	} {
		wide := f.results[0] == i64
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, m api.Module, stack []uint64) {
			i := current(ctx)
			if i == nil || i.ctx.Err() != nil {
				stop()
			}
			n := f.fn(i, memory{m.Memory()}, stack)
			if wide {
				stack[0] = api.EncodeI64(n)
			} else {
				stack[0] = api.EncodeI32(int32(n))
			}
		}), f.params, f.results).Export(f.name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

// arguments are those of a host function. The upper half of one that is an
// i32 may hold anything.
type arguments []uint64

func (a arguments) i32(n int) int32  { return api.DecodeI32(a[n]) }
func (a arguments) u32(n int) uint32 { return api.DecodeU32(a[n]) }
func (a arguments) i64(n int) int64  { return int64(a[n]) }

// memory is that of the guest; it may have none.
type memory struct{ api.Memory }

// bytes returns n bytes of the guest's own memory. They are valid until the
// guest goes on.
func (m memory) bytes(p, n uint32) ([]byte, error) {
	if m.Memory == nil {
		return nil, errFault
	}
	if b, ok := m.Read(p, n); ok {
		return b, nil
	}
	return nil, errFault
}

// flagged returns how an attempt is to be made: once, or until it is done.
func flagged[T any](i *instance, flags uint32, attempt func() (T, error)) (T, error) {
	if flags&flagNonblock != 0 {
		return attempt()
	}
	return wait(i, attempt)
}

func abiOpen(i *instance, m memory, a arguments) int64 {
	if n := a.u32(1); n > requestLimit+certificateRoom {
		return int64(i.fail(i.errorf(errInvalid, "the descriptor has %d bytes: at most %d are allowed", n, requestLimit+certificateRoom)))
	}
	b, err := m.bytes(a.u32(0), a.u32(1))
	if err != nil {
		return int64(i.fail(err))
	}
	return int64(i.openDescriptor(m, b))
}

func abiRead(i *instance, m memory, a arguments) int64 {
	h, err := i.handle(a.i32(0))
	if err != nil {
		return int64(i.fail(err))
	}
	p, err := m.bytes(a.u32(1), min(a.u32(2), maxTransfer))
	if err != nil {
		return int64(i.fail(err))
	}
	return int64(i.read(h, p, a.u32(3)))
}

// maxTransfer keeps what was moved below the numbers that mean errors.
const maxTransfer = 1 << 30

func (i *instance) read(h handle, p []byte, flags uint32) int32 {
	if d, ok := h.(directReader); ok && len(p) > 0 {
		n, err := d.readInto(p)
		if err != nil && !errors.Is(err, io.EOF) {
			return i.fail(err)
		}
		return int32(n)
	}
	b, err := flagged(i, flags, h.peek)
	if errors.Is(err, io.EOF) {
		return 0
	}
	if err != nil {
		return i.fail(err)
	}
	n := copy(p, b)
	h.advance(n)
	return int32(n)
}

func abiWrite(i *instance, m memory, a arguments) int64 {
	h, err := i.handle(a.i32(0))
	if err != nil {
		return int64(i.fail(err))
	}
	p, err := m.bytes(a.u32(1), min(a.u32(2), maxTransfer))
	if err != nil {
		return int64(i.fail(err))
	}
	attempt := func() (int, error) { return h.write(p) }
	if a.u32(3)&flagShut != 0 && len(p) == 0 {
		attempt = func() (int, error) { return 0, h.shut() }
	}
	n, err := flagged(i, a.u32(3), attempt)
	if err != nil {
		return int64(i.fail(err))
	}
	return int64(n)
}

func abiShut(i *instance, _ memory, a arguments) int64 {
	h, err := i.handle(a.i32(0))
	if err == nil {
		_, err = wait(i, func() (struct{}, error) { return struct{}{}, h.shut() })
	}
	if err != nil {
		return int64(i.fail(err))
	}
	return 0
}

func abiCopy(i *instance, _ memory, a arguments) int64 {
	dst, err := i.handle(a.i32(0))
	if err != nil {
		return int64(i.fail(err))
	}
	src, err := i.handle(a.i32(1))
	if err != nil {
		return int64(i.fail(err))
	}
	n, err := i.splice(dst, src, a.i64(2))
	if err != nil && n == 0 {
		return int64(i.fail(err))
	}
	return n
}

// subscription is the size of one in poll: i32 handle, u16 want, u16 got.
const subscription = 8

func abiPoll(i *instance, m memory, a arguments) int64 {
	count := a.u32(1)
	if count > pollLimit {
		return int64(i.fail(i.errorf(errInvalid, "%d handles were polled: at most %d are allowed", count, pollLimit)))
	}
	subs, err := m.bytes(a.u32(0), count*subscription)
	if err != nil {
		return int64(i.fail(err))
	}
	i.polled = append(i.polled[:0], subs...)
	n := i.poll(subs)
	ms := a.i32(2)
	if n > 0 || ms == 0 {
		return int64(n)
	}
	var over <-chan time.Time
	if ms > 0 {
		t := time.NewTimer(time.Duration(ms) * time.Millisecond)
		defer t.Stop()
		over = t.C
	}
	return int64(i.pollUntil(subs, over))
}

func (i *instance) pollUntil(subs []byte, over <-chan time.Time) int32 {
	for {
		select {
		case <-i.wake:
		case <-over:
			return i.poll(subs)
		case <-i.ctx.Done():
			stop()
		}
		if n := i.poll(subs); n > 0 {
			return n
		}
	}
}

// poll fills in what is ready and returns how many handles are. One that
// does not exist is ready for everything, so that using it tells.
func (i *instance) poll(subs []byte) (count int32) {
	for ; len(subs) >= subscription; subs = subs[subscription:] {
		got := binary.LittleEndian.Uint16(subs[4:])
		if h, ok := i.handles[int32(binary.LittleEndian.Uint32(subs))]; ok {
			got = ready(h, got)
		}
		binary.LittleEndian.PutUint16(subs[6:], got)
		if got != 0 {
			count++
		}
	}
	return count
}

func abiStat(i *instance, m memory, a arguments) int64 {
	p, err := m.bytes(a.u32(1), a.u32(2))
	if err != nil {
		return int64(i.fail(err))
	}
	text := []byte(i.lastError)
	if n := a.i32(0); n != -1 {
		if text, err = i.statText(n); err != nil {
			return int64(i.fail(err))
		}
	}
	copy(p, text)
	return int64(len(text))
}

// statText waits until the answer is known.
func (i *instance) statText(n int32) ([]byte, error) {
	h, err := i.handle(n)
	if err != nil {
		return nil, err
	}
	answer, err := wait(i, h.stat)
	if err != nil {
		return nil, err
	}
	return json.Marshal(greased(answer))
}

func abiClose(i *instance, _ memory, a arguments) int64 {
	n := a.i32(0)
	h, err := i.handle(n)
	if err != nil {
		return int64(i.fail(err))
	}
	if n < firstHandle {
		return int64(i.fail(i.errorf(errInvalid, "handle %d is the blob's and cannot be closed", n)))
	}
	h.close()
	delete(i.handles, n)
	return 0
}
