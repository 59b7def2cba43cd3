package cryptoki

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki/internal/ck"
)

// Module is a reference to a loaded and initialised PKCS#11 library, with hooks of its own. It is safe for
// concurrent use.
type Module struct {
	*library
	hooks  []Hook
	busy   Busy
	closed bool // guarded by the registry
}

// library is what all who opened the same file share: C_Initialize and C_Finalize belong to the process.
type library struct {
	path string
	ck   *ck.Library

	inflight    atomic.Int64 // calls that are inside it
	refs        int          // Open less Close; guarded by the registry, as is all below
	initialized bool         // by Open, so that Close must finalize it
	kept        bool         // see Keep
	about       Info         // the zero value where the module did not tell it
	parameters  string       // what C_Initialize was given
}

// registry holds every library that was ever loaded, by real path. No library is unloaded: many crash then.
var registry = struct {
	sync.Mutex
	libraries map[string]*library
}{libraries: map[string]*library{}}

// DrainTime is how long Close and CloseAll wait for calls that are inside a module before they leave it
// unfinalized: C_Finalize while a thread is in the module is undefined (PKCS#11 v2.40, 5.4).
const DrainTime = 2 * time.Second

// ErrParameters matches the error of OpenWith for a module that the process has open with other parameters.
var ErrParameters = errors.New("this process has the module open with other library parameters")

// Open is OpenWith for a module that wants no parameters.
func Open(ctx context.Context, path string, hooks ...Hook) (*Module, error) {
	return OpenWith(ctx, path, "", hooks...)
}

// OpenWith loads the module of that path, or takes another reference to it where the process has it already, and
// initialises it. The hooks stand around each call that is made through this reference, the first innermost.
//
// The parameters are a string for modules that want one in C_Initialize, "" for none. PKCS#11 has no place for it, but
// those who want one all look in the same place: where CK_C_INITIALIZE_ARGS has pReserved. A process initialises a
// module once, so all who have it open give the same parameters; others are refused with ErrParameters. Where something
// else in the process has initialised the module before, the parameters have no effect.
//
// Errors are a *LoadError, one that matches ErrParameters, C_Initialize's *Error, or a *HangError.
func OpenWith(ctx context.Context, path, parameters string, hooks ...Hook) (*Module, error) {
	real, err := realPath(path)
	if err != nil {
		return nil, err
	}
	registry.Lock()
	defer registry.Unlock()
	l, err := load(ctx, real)
	if err != nil {
		return nil, err
	}
	if (l.refs > 0 || l.initialized) && l.parameters != parameters {
		return nil, fmt.Errorf("cryptoki: %s: %w", real, ErrParameters)
	}
	m := &Module{library: l, hooks: hooks}
	if l.refs == 0 && !l.initialized {
		err := run(ctx, m, &Call{Function: "C_Initialize"}, func() error { return l.ck.Initialize(parameters) })
		// If someone else in the process has initialised the library, they must finalize it.
		if err != nil && !errors.Is(err, CKR_CRYPTOKI_ALREADY_INITIALIZED) {
			return nil, err
		}
		l.initialized = err == nil
		l.parameters = parameters
		// No hook sees this: it is asked once a process, whoever is the first.
		l.about, _ = (&Module{library: l}).GetInfo(ctx)
	}
	l.refs++
	return m, nil
}

// realPath follows links, so that two names of one library are one module.
func realPath(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		if pe, ok := errors.AsType[*os.PathError](err); ok {
			err = pe.Err
		}
		return "", &LoadError{Path: path, Err: err}
	}
	info, err := os.Stat(real)
	if err != nil {
		return "", &LoadError{Path: path, Err: err}
	}
	if !info.Mode().IsRegular() {
		return "", &LoadError{Path: path, Err: errors.New("it is not a file")}
	}
	if real, err = filepath.Abs(real); err != nil {
		return "", &LoadError{Path: path, Err: err}
	}
	return real, nil
}

// load gives the registry's library of that real path, and loads it if it is new. Loading runs code of the module,
// which may hang.
func load(ctx context.Context, real string) (*library, error) {
	if l, ok := registry.libraries[real]; ok {
		return l, nil
	}
	l := &library{path: real}
	call := &Call{Function: "C_GetFunctionList"}
	loaded, err := invoke(ctx, &Module{library: l}, call, func() (*ck.Library, error) { return ck.Load(real) })
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, cause) {
		return nil, err
	}
	if answer, ok := errors.AsType[*Error](err); ok {
		err = fmt.Errorf("its %s answers %w", answer.Function, answer.Code)
	}
	if err != nil {
		return nil, &LoadError{Path: real, Err: err}
	}
	l.ck = loaded
	registry.libraries[real] = l
	return l, nil
}

// Path is the module's real path.
func (m *Module) Path() string { return m.path }

// About is what the module said of itself when it was initialised.
func (m *Module) About() Info { return m.about }

// Keep leaves the module initialised when its last reference is given back, until CloseAll.
func (m *Module) Keep() {
	registry.Lock()
	defer registry.Unlock()
	m.kept = true
}

// Close gives the reference back. The last one finalizes the module, or ends its sessions where it is kept. Where a
// call is still inside it after DrainTime, the module stays as it is, and the error says so.
func (m *Module) Close() error {
	registry.Lock()
	defer registry.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	if m.refs == 0 { // after CloseAll
		return nil
	}
	if m.refs--; m.refs > 0 {
		return nil
	}
	if m.kept {
		m.endSessions()
		return nil
	}
	return m.finalize()
}

// endSessions closes every session of a module that is kept, as C_Finalize would: with the last one ends the login.
// Nothing depends on its success.
func (m *Module) endSessions() {
	if m.inflight.Load() > 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), DrainTime)
	defer cancel()
	library := &Module{library: m.library}
	slots, _ := library.GetSlotList(ctx, true)
	for _, slot := range slots {
		_ = library.CloseAllSessions(ctx, slot)
	}
}

// CloseAll ends the process's use of every module, whatever references are left: the last thing that a
// program does. Nothing depends on its success.
func CloseAll() {
	registry.Lock()
	defer registry.Unlock()
	for _, l := range registry.libraries {
		if l.refs > 0 || l.kept {
			l.refs = 0
			_ = (&Module{library: l}).finalize()
		}
	}
}

func (m *Module) finalize() error {
	if !m.initialized {
		return nil
	}
	for end := time.Now().Add(DrainTime); m.inflight.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("cryptoki: %s is not finalized: calls have not returned (%d)", m.path, m.inflight.Load())
		}
	}
	m.initialized = false
	ctx, cancel := context.WithTimeout(context.Background(), DrainTime)
	defer cancel()
	return run(ctx, m, &Call{Function: "C_Finalize"}, m.ck.Finalize)
}
