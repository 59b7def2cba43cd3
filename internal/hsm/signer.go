package hsm

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/session"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// Signer signs with the private half of a pair on the token. It is a crypto.Signer and a crypto.MessageSigner. Every
// signature is verified with the public key before anyone gets it. It is safe for concurrent use.
type Signer struct {
	token *Token
	//nolint:containedctx // crypto.Signer takes none
	ctx context.Context

	mu      sync.Mutex
	key     object.Key
	refused map[way]error // what the token said to the ways that it refused: they are not tried again
}

var (
	_ crypto.Signer        = (*Signer)(nil)
	_ crypto.MessageSigner = (*Signer)(nil)
)

// Signer gives the signer of the pair on the token that has the public key, under whatever ID and label. It signs until
// ctx ends. The pair is proven, as far as that takes no PIN and the token offers a proof; else its first signature is
// its proof, since none is given that does not verify. Errors: *NoSignerError where the token has no such pair,
// *CannotSignError where the pair signs nothing, *UnprotectedSignerError where the PIN does not protect it,
// *UnreadableError and *UnseenError where it may be there all the same, that of what makes no sense and may be the
// pair, *DisprovedError, or the token's failure.
func (t *Token) Signer(ctx context.Context, pub crypto.PublicKey) (*Signer, error) {
	key, err := t.signingPair(ctx, pub)
	if err != nil {
		return nil, err
	}
	return &Signer{token: t, ctx: ctx, key: key, refused: map[way]error{}}, nil
}

// signingPair finds the pair that signs for a public key. Of several, it is the first one that may.
func (t *Token) signingPair(ctx context.Context, pub crypto.PublicKey) (object.Key, error) {
	ref, err := object.RefOfPublicKey(pub)
	if err != nil {
		return object.Key{}, err
	}
	var inventory *object.Inventory
	var keys []object.Key
	var doubtful [][]byte
	asked := time.Now()
	for try := 1; len(keys)+len(doubtful) == 0 && try <= 2; try++ {
		if try == 2 {
			t.snapshot.dropBefore(asked) // others may have made it, such as the provider of an alias
		}
		if inventory, err = t.snapshot.all(ctx); err != nil {
			return object.Key{}, err
		}
		keys = inventory.WithFingerprint(ref.Type, ref.Fingerprint)
		doubtful = inventory.Doubtful(ref.Type, ref.Fingerprint)
	}
	var reason error
	for _, key := range keys {
		err := t.mayBeSigner(ctx, key)
		if err == nil {
			return key, nil
		}
		reason = cmp.Or(reason, err)
	}
	for _, ref.ID = range doubtful {
		key, err := t.contestedPair(ctx, ref)
		if err == nil {
			err = t.mayBeSigner(ctx, key)
		}
		if err == nil {
			return key, nil
		}
		reason = cmp.Or(reason, err)
	}
	if reason != nil {
		return object.Key{}, reason
	}
	return object.Key{}, t.noSigner(ctx, inventory, ref)
}

// contestedPair finds a pair by its public key beside what others have put under its ID, which takes no PIN: public
// halves, and private halves that anyone may use.
func (t *Token) contestedPair(ctx context.Context, ref object.Ref) (object.Key, error) {
	objects, err := t.find(ctx, ref.ID)
	if err != nil {
		return object.Key{}, err
	}
	objects = slices.DeleteFunc(objects, func(o object.Object) bool {
		return o.Class == cryptoki.CKO_PRIVATE_KEY && o.Claims().Unprotected()
	})
	key, err := object.Choose(objects, ref, t.fingerprinter(ctx))
	if err == nil && !key.Is(ref) {
		err = key.Differs(ref)
	}
	return key, err
}

// noSigner says why no pair of a fingerprint was found.
func (t *Token) noSigner(ctx context.Context, inventory *object.Inventory, ref object.Ref) error {
	compute := func([]object.Key) ([]object.Key, error) { return nil, nil } // secret keys alone need that
	_, err := inventory.Fingerprinted(ref.Type, ref.Fingerprint, compute)
	if err = cmp.Or(err, t.hidden(nil), t.Unseen(ctx, nil)); err != nil {
		return err
	}
	none := &NoSignerError{Fingerprint: ref.Fingerprint}
	for _, o := range inventory.Loose() {
		if spec := object.SpecOf(o.CKK); spec != nil && !spec.Alone() && spec.Fingerprint(o) == ref.Fingerprint {
			none.Public = append(none.Public, o.Name())
		}
	}
	keys, _ := inventory.Keys()
	for _, key := range keys {
		if key.Public != nil {
			none.Pairs = append(none.Pairs, key.Private.Name())
		}
	}
	return none
}

// mayBeSigner says why a pair does not sign.
func (t *Token) mayBeSigner(ctx context.Context, key object.Key) error {
	switch {
	case key.Unprotected():
		return &UnprotectedSignerError{key.Private.Name()}
	case !key.Usage.Has(object.Sign):
		return &CannotSignError{key.Private.Name(), fmt.Sprintf("its usage is %s", key.Usage)}
	}
	if eachUse(key) { // no PIN is sent for a proof
		return nil
	}
	err := t.Published(ctx, []object.Key{key})
	if _, unproven := errors.AsType[*UnprovenError](err); unproven {
		return nil
	}
	return err
}

// eachUse says that a key wants the PIN for each use.
func eachUse(key object.Key) bool { return key.AlwaysAuthenticate != nil && *key.AlwaysAuthenticate }

// Key is the pair that signs, as it was last seen.
func (s *Signer) Key() object.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.key
}

// Public is the public key of the pair.
func (s *Signer) Public() crypto.PublicKey { return s.Key().PublicKey }

// Sign signs a digest as crypto.Signer says: opts is a crypto.Hash for RSASSA-PKCS1-v1_5 and ECDSA (DER),
// *rsa.PSSOptions for RSASSA-PSS; crypto.Hash(0) with the message itself for Ed25519 and ML-DSA. A salt of
// rsa.PSSSaltLengthAuto is as long as the hash. rand is not used. Errors: *CannotSignError, *SignatureError, those of
// Token.Signer where the pair is not there any more, or the token's failure.
func (s *Signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	of, hash, salt, err := s.asked(opts)
	if err != nil {
		return nil, err
	}
	if hash == 0 {
		return s.sign(of, hash, salt, signed{message: digest})
	}
	if len(digest) != hash.Size() {
		return nil, s.cannot("what is to be signed has %d bytes, and a digest of %s has %d", len(digest), hash,
			hash.Size())
	}
	return s.sign(of, hash, salt, signed{digest: digest})
}

// SignMessage signs a message as crypto.MessageSigner says. It can do what Sign cannot where the token only hashes by
// itself.
func (s *Signer) SignMessage(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	of, hash, salt, err := s.asked(opts)
	if err != nil {
		return nil, err
	}
	if message == nil {
		message = []byte{}
	}
	return s.sign(of, hash, salt, signedMessage(hash, message))
}

// Check says whether the pair may sign so, as far as that is known before it does: by its key, by the mechanisms that
// it allows and by those that the token offers. Errors: *CannotSignError, or *cryptoki.HangError.
func (s *Signer) Check(opts crypto.SignerOpts) error {
	of, hash, salt, err := s.asked(opts)
	if err == nil {
		_, err = s.ways(of, hash, salt, true)
	}
	return err
}

func (s *Signer) cannot(format string, args ...any) error {
	return &CannotSignError{s.Key().Private.Name(), fmt.Sprintf(format, args...)}
}

// asked is what the options of a signature ask for. Errors: *CannotSignError.
func (s *Signer) asked(opts crypto.SignerOpts) (of *scheme, hash crypto.Hash, salt int, err error) {
	if opts != nil {
		hash = opts.HashFunc()
	}
	pub := s.Public()
	wantsPSS, isPSS := opts.(*rsa.PSSOptions)
	options, isEd25519 := opts.(*ed25519.Options)
	switch _, isRSA := pub.(*rsa.PublicKey); {
	case isRSA && isPSS:
		of, salt = byPSS, max(wantsPSS.SaltLength, 0)
		if wantsPSS.SaltLength < rsa.PSSSaltLengthEqualsHash {
			err = s.cannot("no salt has %d bytes", wantsPSS.SaltLength)
		}
	case isRSA:
		of = byPKCS1
	case publickey.ParameterSet(pub) != "":
		of = byMLDSA
	case publickey.Curve(pub) == publickey.Ed25519:
		of = byEdDSA
		if isEd25519 && options.Context != "" {
			err = s.cannot("Ed25519 with a context is not made here")
		}
	default:
		of = byECDSA
	}
	switch {
	case err != nil:
	case isPSS && of != byPSS:
		err = s.cannot("RSASSA-PSS is for RSA keys")
	case len(waysTo(of, hash, salt, s.token.differences)) > 0:
	case of == byEdDSA || of == byMLDSA:
		err = s.cannot("%s signs the message itself, and no digest by %s", of.standard, hash)
	case hash == 0:
		err = s.cannot("%s signs a digest, and no hash is given", of.standard)
	default:
		err = s.cannot("%s is made here with SHA-256, SHA-384 and SHA-512, not with %s", of.standard, hash)
	}
	return of, hash, salt, err
}

// ways are those ways to a signature that the key allows and the token offers, and has not refused yet. Errors:
// *CannotSignError where none is left, or *cryptoki.HangError.
func (s *Signer) ways(of *scheme, hash crypto.Hash, salt int, message bool) (left []way, err error) {
	key := s.Key()
	all := waysTo(of, hash, salt, s.token.differences)
	if !checkable(key.PublicKey) {
		return nil, s.cannot("a signature by a modulus of fewer than %d bits cannot be verified here, so none is given",
			leastModulus)
	}
	if of.room != nil && !of.room(all[0], key.PublicKey) {
		return nil, s.cannot("%s with %s needs a longer modulus than its %d bits", of.standard, hash,
			key.PublicKey.(*rsa.PublicKey).N.BitLen())
	}
	var allowed, offered, hashing, refusals []string
	for _, w := range all {
		if !key.Allows(w.mechanism) {
			continue
		}
		allowed = append(allowed, w.mechanism.String())
		answer, err := s.token.asked(s.ctx, w.mechanism)
		if err != nil {
			return nil, err
		}
		if answer != nil && (answer.err != nil || answer.info.Flags != 0 && answer.info.Flags&cryptoki.CKF_SIGN == 0) {
			continue
		}
		offered = append(offered, w.mechanism.String())
		if refusal := s.refusal(w); refusal != nil {
			refusals = append(refusals, refusal.Error())
			continue
		}
		if w.hashes && hash != 0 && !message {
			hashing = append(hashing, w.mechanism.String())
			continue
		}
		left = append(left, w)
	}
	mechanisms := make([]string, len(all))
	for i, w := range all {
		mechanisms[i] = w.mechanism.String()
	}
	switch {
	case len(left) > 0:
	case len(allowed) == 0:
		err = s.cannot("%s with it would take %s, and its CKA_ALLOWED_MECHANISMS names none of that",
			called(of, hash), strings.Join(mechanisms, " or "))
	case len(offered) == 0:
		err = s.cannot("%s with it would take %s, which the token does not offer for signing",
			called(of, hash), strings.Join(allowed, " or "))
	case len(hashing) == 0:
		err = s.cannot("the token refuses %s with it: %s", called(of, hash), strings.Join(refusals, "; "))
	case len(refusals) == 0:
		err = s.cannot("for %s there is %s alone, which hashes the message by itself, and what is given is a digest",
			called(of, hash), strings.Join(hashing, " and "))
	default:
		err = s.cannot("the token refuses %s with it (%s). There is %s, which hashes the message by itself, and what "+
			"is given is a digest", called(of, hash), strings.Join(refusals, "; "), strings.Join(hashing, " and "))
	}
	return left, err
}

// called is such as "ECDSA with SHA-256".
func called(of *scheme, hash crypto.Hash) string {
	if hash == 0 {
		return of.standard
	}
	return of.standard + " with " + hash.String()
}

func (s *Signer) refusal(w way) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused[w]
}

// sign makes a signature in the first way that the token does not refuse.
func (s *Signer) sign(of *scheme, hash crypto.Hash, salt int, what signed) ([]byte, error) {
	for {
		left, err := s.ways(of, hash, salt, what.message != nil)
		if err != nil {
			return nil, err
		}
		signature, err := s.signBy(left[0], what)
		if err == nil || !refuses(err) {
			return signature, err
		}
		if left[0].hashes && isAny(err, unfitting) { // it may be this message alone, which is too long for the token
			return nil, s.cannot("the token refuses to sign the %d bytes of the message by %s: %v", len(what.message),
				left[0].mechanism, err)
		}
		s.mu.Lock()
		s.refused[left[0]] = fmt.Errorf("%s: %w", left[0].mechanism, err)
		s.mu.Unlock()
	}
}

// refuses says that the token does not sign in a way: another one may do. What it refuses besides, such as to show the
// key or to log in, is nothing that it says of the way.
func refuses(err error) bool {
	call, answered := errors.AsType[*cryptoki.Error](err)
	return answered && (call.Function == "C_SignInit" || call.Function == "C_Sign") &&
		(cryptoki.Refused(err) || isAny(err, unfitting))
}

// signBy makes a signature in one way. Where the pair is not the one any more that the handle means, it finds the pair
// again, once. Where sessions were lost meanwhile, a signature that does not verify may be another key's, and is made
// again, once.
func (s *Signer) signBy(w way, what signed) (signature []byte, err error) {
	for try := 1; ; try++ {
		key, epoch := s.Key(), s.token.pool.Epoch()
		err = s.token.ask(s.ctx, key, func(in *cryptoki.Session) (err error) {
			signature, err = w.sign(s.ctx, in, key, what, s.login(in, key))
			switch {
			case errors.Is(err, errDisproved):
				return in.Abandon(err)
			case refuses(err): // without its login, a session is refused what the token would sign
				return cmp.Or(s.token.pool.LoggedIn(s.ctx, in), err)
			}
			return err
		})
		switch {
		case err == nil:
			return signature, nil
		case errors.Is(err, errDisproved):
			if try > 1 || epoch == s.token.pool.Epoch() {
				return nil, &SignatureError{Key: key.Private.Name(), Mechanism: w.mechanism}
			}
		case !cryptoki.InvalidHandle(err) || try > 1 || s.ctx.Err() != nil:
			return nil, err
		}
		if err := s.findAgain(key); err != nil {
			return nil, err
		}
	}
}

// login is what a key wants between the beginning of a signature and its end, nil for nothing.
func (s *Signer) login(in *cryptoki.Session, key object.Key) func() error {
	if !eachUse(key) {
		return nil
	}
	return func() error {
		err := s.token.pool.ForEachUse(s.ctx, in)
		switch _, none := errors.AsType[*session.NoUseLoginError](err); {
		case none:
			return s.cannot("it wants the PIN for each use (CKA_ALWAYS_AUTHENTICATE), and %v", err)
		case err != nil:
			return fmt.Errorf("the PIN for one use of the %s (CKA_ALWAYS_AUTHENTICATE): %w", key.Private.Name(), err)
		}
		return nil
	}
}

// findAgain finds the pair anew: its handle may have died with a session, and others may have changed its label or its
// ID. The snapshot may know that already, from this process's own writes or another signer.
func (s *Signer) findAgain(was object.Key) error {
	now, err := s.token.signingPair(s.ctx, was.PublicKey)
	if err != nil || sameObjects(was, now) {
		s.token.snapshot.drop()
		now, err = s.token.signingPair(s.ctx, was.PublicKey)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = now
	return nil
}

// sameObjects says that two readings of a pair have the same handles, labels and IDs.
func sameObjects(a, b object.Key) bool {
	return slices.EqualFunc(a.Objects(), b.Objects(), func(a, b object.Object) bool {
		return a.Handle == b.Handle && object.SameObject(a, b)
	})
}

// MaxRandom is how many random bytes are given at once at most.
const MaxRandom = cryptoki.MaxRandom

// Random gives n bytes, 1 to MaxRandom, of the token's generator of random numbers. Errors: *NoGeneratorError where the
// token has none, or the token's failure.
func (t *Token) Random(ctx context.Context, n int) (random []byte, err error) {
	if n < 1 || n > MaxRandom {
		return nil, fmt.Errorf("1 to %d random bytes are given at once, not %d", MaxRandom, n)
	}
	if !t.info.Has(cryptoki.CKF_RNG) {
		return nil, &NoGeneratorError{}
	}
	var refusal error
	err = t.reader.Read(ctx, func(s *cryptoki.Session) (err error) {
		random, err = s.GenerateRandom(ctx, n)
		if isAny(err, noGenerator) {
			refusal, err = err, nil
		}
		return err
	})
	if refusal != nil {
		return nil, &NoGeneratorError{refusal}
	}
	return random, err
}

// noGenerator are the answers of a token without a generator.
var noGenerator = []error{cryptoki.CKR_RANDOM_NO_RNG, cryptoki.CKR_FUNCTION_NOT_SUPPORTED}
