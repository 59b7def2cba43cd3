// Package session is about who may talk to a token: it has the pool of sessions, the login with the memory of refused
// PINs, the locks on key IDs, and the reading of objects. A handle is good for one session. Whatever acts on a handle
// first asks [Reader.Confirm] whether it still means the same object.
//
//	pool := session.New(module, token, cryptoki.CKU_USER, session.NewPIN(pin), 8, differences)
//	defer pool.Close()
//	reader := &session.Reader{Pool: pool, Differences: differences}
//	objects, err := reader.Find(ctx, id)
package session
