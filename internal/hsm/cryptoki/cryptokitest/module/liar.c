// A PKCS#11 module that stands before a real one and passes each call on, but for the one function that it is told to lie
// about. Package cryptokitest builds it, with the path of the module behind as TARGET, and two files:
//
//	CONTROL  one line, read at each call: FUNCTION LIE NUMBER ATTRIBUTE
//	JOURNAL  a line for each call of C_GetInterface, C_GetFunctionList and C_Initialize, the last with its string
//
// The string that C_Initialize is given is for this module, and not passed on.
//
// It is built for platforms that pass the arguments of every PKCS#11 function as words in registers and on the stack,
// in order: Linux and macOS on amd64 and arm64.
#include <dlfcn.h>
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
} functions[68] = {
	[0] = {"C_Initialize"},
	[1] = {"C_Finalize"},
	[2] = {"C_GetInfo", .structure = 1, .size = 88},
	[4] = {"C_GetSlotList", .buffer = 2, .length = 3, .element = 8},
	[5] = {"C_GetSlotInfo", .structure = 2, .size = 112},
	[6] = {"C_GetTokenInfo", .structure = 2, .size = 208},
	[7] = {"C_GetMechanismList", .buffer = 2, .length = 3, .element = 8},
	[8] = {"C_GetMechanismInfo", .structure = 3, .size = 24},
	[12] = {"C_OpenSession", .handle = 5},
	[13] = {"C_CloseSession"},
	[15] = {"C_GetSessionInfo", .structure = 2, .size = 32},
	[18] = {"C_Login"},
	[22] = {"C_DestroyObject"},
	[24] = {"C_GetAttributeValue", .template = 3},
	[25] = {"C_SetAttributeValue"},
	[26] = {"C_FindObjectsInit"},
	[27] = {"C_FindObjects", .buffer = 2, .length = 4, .element = 8},
	[28] = {"C_FindObjectsFinal"},
	[29] = {"C_EncryptInit"},
	[30] = {"C_Encrypt", .buffer = 4, .length = 5, .element = 1},
	[33] = {"C_DecryptInit"},
	[34] = {"C_Decrypt", .buffer = 4, .length = 5, .element = 1},
	[42] = {"C_SignInit"},
	[43] = {"C_Sign", .buffer = 4, .length = 5, .element = 1},
	[48] = {"C_VerifyInit"},
	[49] = {"C_Verify"},
	[58] = {"C_GenerateKey", .handle = 5},
	[59] = {"C_GenerateKeyPair", .handle = 7, .second = 8},
	[62] = {"C_DeriveKey", .handle = 6},
};

static list_t *behind, shown;

struct lie { char function[64], kind[32]; word number, attribute; };

static struct lie told(void) {
	struct lie l = {"", "", 0, 0};
	FILE *f = fopen(CONTROL, "r");
	if (f == NULL || fscanf(f, "%63s %31s %lu %lu", l.function, l.kind, &l.number, &l.attribute) != 4)
		l.function[0] = 0;
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
		return call(n, (word[8]){a, b, c, d, e, f, g, h}); \
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
