package wasmhost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	extismsdk "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero/sys"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/calling"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/wasmhost/internal/interrupt"
)

// answerLimit is the size of the largest answer of an Extism function.
const answerLimit = 16 << 20

// extismLogs lets the SDK pass on what guests log. Its level is one for the
// whole process and is set nowhere else.
var extismLogs = sync.OnceFunc(func() { extismsdk.SetLogLevel(extismsdk.LogLevelInfo) })

// runExtism calls the function that is named after the action.
func (p *Plugin) runExtism(c *call) error {
	extismLogs()
	i := c.instance
	ctx := i.memory.with(context.WithValue(c.ctx, instanceKey{}, i))
	m, err := p.program.extism.Instance(ctx, extismsdk.PluginInstanceConfig{ModuleConfig: i.moduleConfig()})
	if err != nil {
		return err
	}
	defer func() { _ = m.Close(context.Background()) }()
	m.SetLogger(func(_ extismsdk.LogLevel, text string) { _, _ = io.WriteString(i.diag, text+"\n") })
	if !m.FunctionExists(string(c.request.Action)) {
		return &answerError{2, fmt.Errorf("the module exports no function %s", c.request.Action)}
	}
	request, err := json.Marshal(greased(extismRequest(c.request)))
	if err != nil {
		return err
	}
	status, answer, err := m.CallWithContext(ctx, string(c.request.Action), request)
	if err := extismError(i, status, err); err != nil {
		return err
	}
	return c.print(answer)
}

// extismRequest is what the function gets as its input.
func extismRequest(r *calling.Request) map[string]any {
	m := map[string]any{"action": r.Action}
	if r.Endpoint != nil {
		m["endpoint"] = json.RawMessage(r.Endpoint)
		m["role"] = r.Role
	}
	for name, v := range r.Fields() {
		m[name] = v
	}
	return m
}

// An answerError is the failure of an Extism function: what it returned, and
// the text of its error.
type answerError struct {
	status int
	err    error
}

func (e *answerError) Error() string { return e.err.Error() }

// extismError says how a function ended. The text of its error may be an
// error line, as an executable would write it.
func extismError(i *instance, status uint32, err error) error {
	var exit *sys.ExitError
	if err == nil && status == 0 || errors.As(err, &exit) && exit.ExitCode() == 0 {
		return nil
	}
	if exit != nil {
		return exit
	}
	if err == nil {
		err = fmt.Errorf("the function returned %d", int32(status))
	} else if status != 0 || !isTrap(err) {
		_, _ = io.WriteString(i.diag, err.Error()+"\n")
	}
	return &answerError{int(int32(status)), errors.New(trap(err))}
}

// isTrap reports whether an error is wazero's, with a trace of the stack.
func isTrap(err error) bool { return bytes.Contains([]byte(err.Error()), []byte("wasm stack trace")) }

// print puts the answer where an executable would have printed it.
func (c *call) print(answer []byte) error {
	switch c.request.Action {
	case plugin.ActionInfo, plugin.ActionStore, plugin.ActionList, plugin.ActionProbe, plugin.ActionInspect:
	default:
		return nil
	}
	if len(answer) > answerLimit {
		return shield.Errorf(shield.PluginFailed, c.op, "the answer has %d bytes: at most %d are allowed", len(answer), answerLimit)
	}
	if c.request.Action == plugin.ActionList {
		answer = toLines(answer)
	}
	_, err := guestOutput{c.instance}.Write(answer)
	return err
}

// toLines turns a JSON list into the lines that list prints.
func toLines(answer []byte) []byte {
	var list []json.RawMessage
	if json.Unmarshal(answer, &list) != nil {
		return answer
	}
	var lines bytes.Buffer
	for _, o := range list {
		if json.Compact(&lines, o) == nil {
			lines.WriteByte('\n')
		}
	}
	return lines.Bytes()
}

// extismFunctions are the host functions of Extism modules: the same handles
// as those of shield_v1, with blocks of Extism's memory for the bytes.
func extismFunctions() []extismsdk.HostFunction {
	const i64 = extismsdk.ValueTypeI64
	define := func(name string, params int, f func(i *instance, p *extismsdk.CurrentPlugin, a arguments) int64) extismsdk.HostFunction {
		types := make([]extismsdk.ValueType, params)
		for n := range types {
			types[n] = i64
		}
		return extismsdk.NewHostFunctionWithStack(name, func(ctx context.Context, p *extismsdk.CurrentPlugin, stack []uint64) {
			i := current(ctx)
			if i == nil || i.ctx.Err() != nil {
				stop()
			}
			stack[0] = uint64(f(i, p, stack))
		}, types, []extismsdk.ValueType{i64})
	}
	check := extismsdk.NewHostFunctionWithStack(interrupt.Name, func(ctx context.Context, _ *extismsdk.CurrentPlugin, _ []uint64) { interrupted(ctx) }, nil, nil)
	check.SetNamespace(interrupt.Module)
	return []extismsdk.HostFunction{
		check,
		define("shield_open", 1, extismOpen), define("shield_read", 2, extismRead), define("shield_write", 2, extismWrite),
		define("shield_copy", 3, func(i *instance, _ *extismsdk.CurrentPlugin, a arguments) int64 { return abiCopy(i, memory{}, a) }),
		define("shield_shut", 1, func(i *instance, _ *extismsdk.CurrentPlugin, a arguments) int64 { return abiShut(i, memory{}, a) }),
		define("shield_stat", 1, extismStat),
		define("shield_close", 1, func(i *instance, _ *extismsdk.CurrentPlugin, a arguments) int64 { return abiClose(i, memory{}, a) }),
	}
}

// extismBlock returns a copy of the block at an offset.
func extismBlock(i *instance, p *extismsdk.CurrentPlugin, offset uint64) ([]byte, error) {
	n, err := p.Length(offset)
	if err != nil || n > maxTransfer {
		return nil, i.errorf(errFault, "there is no block at %d", offset)
	}
	b, err := p.ReadBytes(offset)
	if err != nil {
		return nil, i.errorf(errFault, "there is no block at %d", offset)
	}
	return b, nil
}

func extismOpen(i *instance, p *extismsdk.CurrentPlugin, a arguments) int64 {
	b, err := extismBlock(i, p, a[0])
	if err == nil && len(b) > requestLimit+certificateRoom {
		err = i.errorf(errInvalid, "the descriptor is too long")
	}
	if err != nil {
		return int64(i.fail(err))
	}
	return int64(i.openDescriptor(memory{}, b))
}

// extismRead returns the offset of a block with what was read, 0 at the end.
func extismRead(i *instance, p *extismsdk.CurrentPlugin, a arguments) int64 {
	h, err := i.handle(a.i32(0))
	if err != nil {
		return int64(i.fail(err))
	}
	b, err := wait(i, h.peek)
	if errors.Is(err, io.EOF) {
		return 0
	}
	if err != nil {
		return int64(i.fail(err))
	}
	b = b[:min(uint64(len(b)), max(a[1], 1))]
	offset, err := p.WriteBytes(b)
	if err != nil {
		return int64(i.fail(i.errorf(errFault, "there is no memory for %d bytes", len(b))))
	}
	h.advance(len(b))
	return int64(offset)
}

// extismWrite writes the whole block.
func extismWrite(i *instance, p *extismsdk.CurrentPlugin, a arguments) int64 {
	h, err := i.handle(a.i32(0))
	if err != nil {
		return int64(i.fail(err))
	}
	b, err := extismBlock(i, p, a[1])
	if err != nil {
		return int64(i.fail(err))
	}
	for total := 0; total < len(b); {
		n, err := wait(i, func() (int, error) { return h.write(b[total:]) })
		if err != nil {
			return int64(i.fail(err))
		}
		total += n
	}
	return int64(len(b))
}

func extismStat(i *instance, p *extismsdk.CurrentPlugin, a arguments) int64 {
	text := []byte(i.lastError)
	if n := a.i32(0); n != -1 {
		var err error
		if text, err = i.statText(n); err != nil {
			return int64(i.fail(err))
		}
	}
	offset, err := p.WriteBytes(text)
	if err != nil {
		return int64(i.fail(i.errorf(errFault, "there is no memory for %d bytes", len(text))))
	}
	return int64(offset)
}
