// Package raw calls a PKCS#11 module with nothing in between: the floor that the provider is measured against. It
// trusts the module, and is for benchmarks only.
package raw

/*
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long word;
typedef struct { word type; void *value; word length; } attribute_t;
typedef struct { word mechanism; void *parameter; word length; } mechanism_t;
typedef struct { void *create, *destroy, *lock, *unlock; word flags; void *reserved; } init_t;
typedef word (*function_t)(void);
typedef struct { unsigned char version[2]; function_t functions[68]; } list_t;

// call calls a function of the list by its place there, with words for arguments.
#define call(l, i, ...) (((word (*)())(l)->functions[i])(__VA_ARGS__))
enum {
	INITIALIZE = 0, FINALIZE = 1, GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6, OPEN_SESSION = 12, LOGIN = 18, GET_ATTRIBUTE_VALUE = 24,
	FIND_OBJECTS_INIT = 26, FIND_OBJECTS = 27, FIND_OBJECTS_FINAL = 28, SIGN_INIT = 42, SIGN = 43,
	GENERATE_KEY_PAIR = 59
};

static word open_module(const char *path, list_t **l) {
	void *library = dlopen(path, RTLD_NOW);
	word (*get)(list_t **) = library == NULL ? NULL : (word (*)(list_t **))dlsym(library, "C_GetFunctionList");
	if (get == NULL || get(l) != 0)
		return 5;
	init_t init = {.flags = 2}; // CKF_OS_LOCKING_OK
	return call(*l, INITIALIZE, &init);
}

static void finalize(list_t *l) { call(l, FINALIZE, NULL); }

// find_slot looks for the token of a label, which a token shows padded with blanks to 32 characters.
static word find_slot(list_t *l, const char *label, word *slot) {
	word slots[64], n = 64;
	unsigned char info[512];
	word rv = call(l, GET_SLOT_LIST, (word)1, slots, &n);
	for (word i = 0; rv == 0 && i < n; i++) {
		rv = call(l, GET_TOKEN_INFO, slots[i], info);
		if (rv == 0 && strncmp((char *)info, label, strlen(label)) == 0) {
			*slot = slots[i];
			return 0;
		}
	}
	return rv == 0 ? 0xE0 : rv; // CKR_TOKEN_NOT_PRESENT
}

static word open_session(list_t *l, word slot, word *session) {
	return call(l, OPEN_SESSION, slot, (word)6, NULL, NULL, session); // serial, read/write
}

static word login(list_t *l, word session, char *pin) { return call(l, LOGIN, session, (word)1, pin, (word)strlen(pin)); }

static word find(list_t *l, word session, void *id, word length, word *objects, word max, word *count) {
	attribute_t by = {0x102, id, length};
	word rv = call(l, FIND_OBJECTS_INIT, session, &by, (word)(id != NULL)), got = 0;
	for (*count = 0; rv == 0; *count += got) {
		rv = call(l, FIND_OBJECTS, session, objects + *count, max - *count < 4096 ? max - *count : 4096, &got);
		if (got == 0)
			break;
	}
	if (rv == 0)
		rv = call(l, FIND_OBJECTS_FINAL, session);
	return rv;
}

// What the provider reads of an object.
static const word types[] = {
	0x000, 0x100, 0x102, 0x003, 0x120, 0x122, 0x180, 0x181, 0x161, 0x001, 0x002, 0x103, 0x162, 0x163, 0x165, 0x164,
	0x108, 0x10A, 0x104, 0x105, 0x106, 0x107, 0x10C,
};
enum { TYPES = sizeof types / sizeof *types, ROOM = 2048 };

static word read_object(list_t *l, word session, word object) {
	char values[TYPES][ROOM];
	attribute_t a[TYPES];
	for (int i = 0; i < TYPES; i++)
		a[i] = (attribute_t){types[i], values[i], ROOM};
	word rv = call(l, GET_ATTRIBUTE_VALUE, session, object, a, (word)TYPES);
	return rv == 0x11 || rv == 0x12 ? 0 : rv; // some are sensitive, or not there
}

// generate makes a pair for signatures: on P-256 where bits is 0, else RSA.
static word generate(list_t *l, word session, word bits, char *label, char *id) {
	unsigned char yes = 1, no = 0, exponent[] = {1, 0, 1}, p256[] = {6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7};
	mechanism_t m = {bits > 0 ? 0 : 0x1040, NULL, 0}; // CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_EC_KEY_PAIR_GEN
	attribute_t public[] = {
		{0x003, label, strlen(label)}, {0x102, id, strlen(id)}, {0x001, &yes, 1}, {0x10A, &yes, 1}, {0x104, &no, 1}, {0x106, &no, 1}, {0x10C, &no, 1},
		{0x180, p256, sizeof p256}, {0}};
	attribute_t private[] = {
		{0x003, label, strlen(label)}, {0x102, id, strlen(id)}, {0x001, &yes, 1}, {0x002, &yes, 1}, {0x103, &yes, 1}, {0x162, &no, 1}, {0x108, &yes, 1},
		{0x105, &no, 1}, {0x107, &no, 1}, {0x10C, &no, 1}};
	word publics = 8, handles[2];
	if (bits > 0) {
		public[7] = (attribute_t){0x121, &bits, sizeof bits};
		public[8] = (attribute_t){0x122, exponent, sizeof exponent};
		publics = 9;
	}
	return call(l, GENERATE_KEY_PAIR, session, &m, public, publics, private, (word)(sizeof private / sizeof *private), &handles[0], &handles[1]);
}

// sign_by signs with a private key: by CKM_RSA_PKCS or CKM_ECDSA.
static word sign_by(list_t *l, word session, word object, word rsa, void *data, word length) {
	unsigned char signature[ROOM];
	word n = sizeof signature;
	mechanism_t m = {rsa ? 0x1 : 0x1041, NULL, 0};
	word rv = call(l, SIGN_INIT, session, &m, object);
	return rv == 0 ? call(l, SIGN, session, data, length, signature, &n) : rv;
}
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Token is a token that is logged in to.
type Token struct {
	list     *C.list_t
	sessions []C.word
}

// Object is an object's handle.
type Object uint

func check(function string, rv C.word) error {
	if rv == 0 {
		return nil
	}
	return fmt.Errorf("%s: 0x%x", function, uint(rv))
}

// Open loads a module, and opens sessions on the token of the label, logged in.
func Open(module, label, pin string, sessions int) (*Token, error) {
	t := &Token{sessions: make([]C.word, sessions)}
	path, name, secret := C.CString(module), C.CString(label), C.CString(pin)
	defer C.free(unsafe.Pointer(path))
	defer C.free(unsafe.Pointer(name))
	defer C.free(unsafe.Pointer(secret))
	var slot C.word
	if err := check("C_Initialize", C.open_module(path, &t.list)); err != nil {
		return nil, err
	}
	if err := check("C_GetSlotList", C.find_slot(t.list, name, &slot)); err != nil {
		return nil, err
	}
	for i := range t.sessions {
		if err := check("C_OpenSession", C.open_session(t.list, slot, &t.sessions[i])); err != nil {
			return nil, err
		}
	}
	return t, check("C_Login", C.login(t.list, t.sessions[0], secret))
}

// Close ends the process's use of the module.
func (t *Token) Close() { C.finalize(t.list) }

// Find searches in the first session for the objects of an ID, for all where it is "".
func (t *Token) Find(id string) ([]Object, error) {
	found := make([]Object, 1<<16)
	var count C.word
	var by unsafe.Pointer
	if id != "" {
		by = C.CBytes([]byte(id))
		defer C.free(by)
	}
	rv := C.find(t.list, t.sessions[0], by, C.word(len(id)), (*C.word)(unsafe.Pointer(&found[0])), C.word(len(found)), &count)
	return found[:count], check("C_FindObjects", rv)
}

// Read reads in the first session all attributes of an object that the provider reads, in one call.
func (t *Token) Read(o Object) error {
	return check("C_GetAttributeValue", C.read_object(t.list, t.sessions[0], C.word(o)))
}

// Generate makes a key pair for signatures in one of the sessions: RSA of so many bits, on P-256 where bits is 0.
func (t *Token) Generate(session, bits int, label, id string) error {
	l, i := C.CString(label), C.CString(id)
	defer C.free(unsafe.Pointer(l))
	defer C.free(unsafe.Pointer(i))
	return check("C_GenerateKeyPair", C.generate(t.list, t.sessions[session], C.word(bits), l, i))
}

// Sign has a private key sign data in the first session: a DigestInfo by CKM_RSA_PKCS, or a digest by CKM_ECDSA.
func (t *Token) Sign(o Object, rsa bool, data []byte) error {
	var byRSA C.word
	if rsa {
		byRSA = 1
	}
	text := unsafe.Pointer(&data[0])
	return check("C_Sign", C.sign_by(t.list, t.sessions[0], C.word(o), byRSA, text, C.word(len(data))))
}
