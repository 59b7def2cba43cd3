// Package session is who may talk to a token: the pool of sessions, the login and the memory of refused PINs, locks on
// key IDs, and reading. A handle is good for one session: what acts by a handle asks [Reader.Confirm] first whether it
// still means the object that it was read for.
//
//	pool := session.New(module, token, session.NewPIN(pin), 8, differences)
//	defer pool.Close()
//	reader := &session.Reader{Pool: pool, Differences: differences}
//	objects, err := reader.Find(ctx, id)
package session
