// A PKCS#11 module that stands before a real one and passes each call on, but for the one function that it is told to lie
// about. Package cryptokitest builds it, with the path of the module behind as TARGET, and two files:
//
//	CONTROL  a line, read at each call: FUNCTION LIE NUMBER ATTRIBUTE NTH SERIAL, and one for each swap: OWN FOREIGN
//	JOURNAL  a line for each call of C_GetInterface, C_GetFunctionList and C_Initialize, the last with its string, for the
//	         connection that breaks, for each call that then changes or uses one of the foreign objects, and for the call of
//	         a "heard", with its texts
//
// The string that C_Initialize is given is for this module, and not passed on.
//
// It is built for platforms that pass the arguments of every PKCS#11 function as words in registers and on the stack,
// in order: Linux and macOS on amd64 and arm64.
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long word;
typedef word (*function_t)(word, word, word, word, word, word, word, word);
// CK_FUNCTION_LIST: its version, then the functions in the order of PKCS#11 v2.40, section 6.
typedef struct { unsigned char version[2]; function_t functions[68]; } list_t;
typedef struct { const char *name; void *list; word flags; } interface_t;
typedef struct { word type; void *value; word length; } attribute_t;
typedef struct { void *mutexes[4]; word flags; char *reserved, *behind; } initialize_args_t;

#define BUFFER_TOO_SMALL 0x150

// What the functions that can lie give back: the positions of their arguments, 0 for none, and the size of a structure.
static const struct function {
	const char *name;
	int buffer, length; // a buffer and the number that says how much of it was written
	int element;        // the size of what is in the buffer
	int handle, second; // handles of what was made
	int structure, size;
	int template; // attributes
	int object;   // the handle of what it is about
} functions[68] = {
	[0] = {"C_Initialize"},
	[1] = {"C_Finalize"},
	[2] = {"C_GetInfo", .structure = 1, .size = 88},
	[4] = {"C_GetSlotList", .buffer = 2, .length = 3, .element = 8},
	[5] = {"C_GetSlotInfo", .structure = 2, .size = 112},
	[6] = {"C_GetTokenInfo", .structure = 2, .size = 208},
	[7] = {"C_GetMechanismList", .buffer = 2, .length = 3, .element = 8},
	[8] = {"C_GetMechanismInfo", .structure = 3, .size = 24},
	[9] = {"C_InitToken"},
	[10] = {"C_InitPIN"},
	[11] = {"C_SetPIN"},
	[12] = {"C_OpenSession", .handle = 5},
	[13] = {"C_CloseSession"},
	[14] = {"C_CloseAllSessions"},
	[15] = {"C_GetSessionInfo", .structure = 2, .size = 32},
	[18] = {"C_Login"},
	[19] = {"C_Logout"},
	[22] = {"C_DestroyObject", .object = 2},
	[24] = {"C_GetAttributeValue", .template = 3, .object = 2},
	[25] = {"C_SetAttributeValue", .object = 2},
	[26] = {"C_FindObjectsInit"},
	[27] = {"C_FindObjects", .buffer = 2, .length = 4, .element = 8},
	[28] = {"C_FindObjectsFinal"},
	[29] = {"C_EncryptInit", .object = 3},
	[30] = {"C_Encrypt", .buffer = 4, .length = 5, .element = 1},
	[33] = {"C_DecryptInit", .object = 3},
	[34] = {"C_Decrypt", .buffer = 4, .length = 5, .element = 1},
	[42] = {"C_SignInit", .object = 3},
	[43] = {"C_Sign", .buffer = 4, .length = 5, .element = 1},
	[48] = {"C_VerifyInit", .object = 3},
	[49] = {"C_Verify"},
	[58] = {"C_GenerateKey", .handle = 5},
	[59] = {"C_GenerateKeyPair", .handle = 7, .second = 8},
	[62] = {"C_DeriveKey", .handle = 6, .object = 3},
	[64] = {"C_GenerateRandom", .buffer = 2, .element = 1},
};

static list_t *behind, shown;

#define SWAPS 4

struct swap { word own, foreign; };
struct lie { char function[64], kind[32]; word number, attribute, nth, serial; struct swap swaps[SWAPS]; int count; };

static struct lie told(void) {
	struct lie l = {.number = 0};
	FILE *f = fopen(CONTROL, "r");
	if (f == NULL || fscanf(f, "%63s %31s %lu %lu %lu %lu", l.function, l.kind, &l.number, &l.attribute, &l.nth, &l.serial) != 6)
		l.function[0] = 0;
	while (l.function[0] != 0 && l.count < SWAPS &&
	       fscanf(f, "%lu %lu", &l.swaps[l.count].own, &l.swaps[l.count].foreign) == 2)
		l.count++;
	if (f != NULL)
		fclose(f);
	return l;
}

static void note(const char *function, const char *string) {
	FILE *f = fopen(JOURNAL, "a");
	if (f != NULL) {
		fprintf(f, "%s%s\n", function, string);
		fclose(f);
	}
}

#define IS(text) (strcmp(l.kind, text) == 0)

// The connection to the token: which sessions died with it when it broke, and which objects the handles mean since.
static struct {
	pthread_mutex_t lock;
	word serial;        // of the lie that it was told last
	word calls;         // that count, since then
	word newest, dead;  // the newest session, and the newest one of those that are dead
	word made[SWAPS];   // handles of what was made since then
	int count;
	struct swap swaps[SWAPS];
	int swapped;
} connection = {PTHREAD_MUTEX_INITIALIZER};

static void renew(const struct lie *l) {
	if (connection.serial == l->serial)
		return;
	connection.serial = l->serial;
	connection.calls = connection.dead = connection.count = connection.swapped = 0;
}

static word swapped(word handle) {
	for (int i = 0; i < connection.swapped; i++) {
		if (connection.swaps[i].own == handle)
			return connection.swaps[i].foreign;
		if (connection.swaps[i].foreign == handle)
			return connection.swaps[i].own;
	}
	return handle;
}

static int foreign(word handle) {
	for (int i = 0; i < connection.swapped; i++)
		if (connection.swaps[i].foreign == handle)
			return 1;
	return 0;
}

static void made(word handle) {
	if (connection.count < SWAPS)
		connection.made[connection.count++] = handle;
}

// breaks counts a call that was made, and breaks the connection after the one that was told.
static void breaks(const struct lie *l) {
	if (connection.dead != 0 || ++connection.calls != l->nth)
		return;
	note("the connection breaks", "");
	connection.dead = connection.newest;
	for (int i = 0, next = 0; i < l->count; i++) {
		struct swap swap = l->swaps[i];
		if (swap.own == 0 && next < connection.count)
			swap.own = connection.made[next++];
		if (swap.own != 0)
			connection.swaps[connection.swapped++] = swap;
	}
}

static word call(int n, word a[8]);

// over passes a call on over the connection. C_InitPIN, C_SetPIN and all from C_CloseSession on have a session, but for two.
static word over(int n, word a[8]) {
	const struct function *f = &functions[n];
	struct lie l = told();
	int session = n == 10 || n == 11 || (n >= 13 && n != 14 && n != 67), dead = 0;
	pthread_mutex_lock(&connection.lock);
	renew(&l);
	dead = session && connection.dead != 0 && a[0] <= connection.dead;
	if (f->object && !dead) {
		a[f->object - 1] = swapped(a[f->object - 1]);
		if (n != 24 && foreign(a[f->object - 1]))
			note("foreign ", f->name);
	}
	pthread_mutex_unlock(&connection.lock);
	if (dead && n != 13)
		return l.number;
	word rv = call(n, a);
	if (dead)
		return l.number;
	if (rv != 0)
		return rv;
	pthread_mutex_lock(&connection.lock);
	if (n == 12 && *(word *)a[4] > connection.newest)
		connection.newest = *(word *)a[4];
	if (n == 27 && connection.swapped > 0)
		for (word i = 0; i < *(word *)a[3]; i++)
			((word *)a[1])[i] = swapped(((word *)a[1])[i]);
	if (n == 58 && IS("break"))
		made(*(word *)a[4]);
	if (n == 59 && IS("break"))
		made(*(word *)a[7]), made(*(word *)a[6]);
	if (session && IS("break") && (strcmp(l.function, "any") == 0 || (f->name != NULL && strcmp(l.function, f->name) == 0)))
		breaks(&l);
	pthread_mutex_unlock(&connection.lock);
	return rv;
}

// A text of so many bytes, as PINs and labels are given.
struct text { const char *bytes; word length; };

// heard notes the PINs and the label of a call: each text between bars, and NULL for none.
static void heard(int n, const word a[8]) {
	struct text texts[2] = {{NULL, 0}, {NULL, 0}};
	int count = n == 9 || n == 11 ? 2 : n == 10 || n == 18 ? 1 : 0, from = n == 18 ? 2 : 1;
	for (int i = 0; i < count; i++)
		texts[i] = (struct text){(const char *)a[from + 2 * i], n == 9 && i == 1 ? 32 : a[from + 2 * i + 1]};
	char line[256] = "";
	for (int i = 0, at = 0; i < count; i++)
		at += texts[i].bytes == NULL ? snprintf(line + at, sizeof line - at, " NULL of %lu", texts[i].length)
			: snprintf(line + at, sizeof line - at, " |%.*s|", (int)texts[i].length, texts[i].bytes);
	note(functions[n].name, line);
}

static word call(int n, word a[8]) {
	const struct function *f = &functions[n];
	struct lie l = told();
	word buffer = f->buffer ? a[f->buffer - 1] : 0;
	word *length = f->length ? (word *)a[f->length - 1] : NULL;
	int mine = f->name != NULL && strcmp(f->name, l.function) == 0;
	if (mine && f->template) {
		attribute_t *template = (attribute_t *)a[f->template - 1];
		mine = 0;
		for (word i = 0; i < a[f->template]; i++)
			if (template[i].type == l.attribute) {
				mine = 1;
				buffer = (word)template[i].value;
				length = &template[i].length;
			}
	}
	if (mine && IS("nothing"))
		return 0;
	if (mine && IS("heard")) {
		heard(n, a);
		return 0;
	}
	if (mine && IS("code"))
		return l.number;
	if (mine && IS("small") && !f->template) {
		*length = l.number;
		return BUFFER_TOO_SMALL;
	}
	if (mine && IS("grow") && *length < l.number) {
		*length = l.number;
		return BUFFER_TOO_SMALL;
	}
	if (mine && IS("exact") && *length != l.number) {
		*length = 144; // as NSS has it of Ed25519
		return BUFFER_TOO_SMALL;
	}
	if (mine && IS("write") && buffer != 0) {
		memset((void *)buffer, 'A', l.number * (f->element ? f->element : 1));
		if (length != NULL)
			*length = l.number;
		return 0;
	}
	initialize_args_t args;
	if (n == 0) {
		args = *(initialize_args_t *)a[0];
		note("C_Initialize ", args.reserved == NULL ? "NULL" : args.behind != NULL ? "not followed by NULL" : args.reserved);
		args.reserved = NULL;
		a[0] = (word)&args;
	}
	word rv = behind->functions[n](a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]);
	if (!mine)
		return rv;
	if (length != NULL && (IS("length") || (IS("first") && buffer == 0) || (IS("second") && buffer != 0)))
		*length = l.number;
	if (IS("small")) {
		*length = l.number;
		return BUFFER_TOO_SMALL;
	}
	if (IS("handle")) {
		*(word *)a[f->handle - 1] = l.number;
		if (f->second)
			*(word *)a[f->second - 1] = l.number;
	}
	if (IS("garbage"))
		memset((void *)a[f->structure - 1], 0xFF, f->size);
	return rv;
}

#define F(n) \
	static word f##n(word a, word b, word c, word d, word e, word f, word g, word h) { \
		return over(n, (word[8]){a, b, c, d, e, f, g, h}); \
	}
#define TEN(X, n) X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7) X(n##8) X(n##9)
#define ALL(X) \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) TEN(X, 1) TEN(X, 2) TEN(X, 3) TEN(X, 4) TEN(X, 5) \
	X(60) X(61) X(62) X(63) X(64) X(65) X(66) X(67)
ALL(F)
#define ENTRY(n) f##n,
static const function_t entries[68] = {ALL(ENTRY)};

static void show(void) {
	if (behind == NULL) {
		void *library = dlopen(TARGET, RTLD_NOW);
		word (*get)(list_t **) = (word (*)(list_t **))dlsym(library, "C_GetFunctionList");
		get(&behind);
	}
	struct lie l = told();
	memcpy(shown.version, behind->version, sizeof shown.version);
	memcpy(shown.functions, entries, sizeof entries);
	for (int i = 0; i < 68; i++)
		if (IS("missing") && functions[i].name != NULL && strcmp(functions[i].name, l.function) == 0)
			shown.functions[i] = NULL;
}

word C_GetFunctionList(list_t **list) {
	note("C_GetFunctionList", "");
	struct lie l = told();
	int mine = strcmp(l.function, "C_GetFunctionList") == 0;
	show();
	if (mine && IS("code"))
		return l.number;
	if (!mine || !IS("nothing"))
		*list = &shown;
	return 0;
}

#ifdef WITH_INTERFACE
word C_GetInterface(const char *name, void *version, interface_t **answer, word flags) {
	(void)version;
	note("C_GetInterface", "");
	struct lie l = told();
	static interface_t interface;
	static list_t strange;
	interface = (interface_t){"PKCS 11", &shown, 0};
	show();
	if (name != NULL || flags != 0)
		return 7; // CKR_ARGUMENTS_BAD
	if (strcmp(l.function, "C_GetInterface") == 0) {
		if (IS("code"))
			return l.number;
		if (IS("nothing"))
			return 0;
		if (IS("nameless"))
			interface.name = NULL;
		if (IS("vendor"))
			interface.name = "Vendor's own";
		if (IS("empty"))
			interface.list = NULL;
		if (IS("strange")) {
			memset(&strange, 0xFF, sizeof strange);
			interface.list = &strange;
		}
	}
	*answer = &interface;
	return 0;
}
#endif
