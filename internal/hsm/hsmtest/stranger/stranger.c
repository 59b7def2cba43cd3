// Whoever may open a session on a token and has no PIN: a process of its own, since a login is the process's. Package
// hsmtest builds it.
//
//	stranger MODULE TOKEN pair   KIND LABEL ID   a pair (KIND: rsa or p256) that anyone may use (CKA_PRIVATE=false)
//	stranger MODULE TOKEN secret KIND LABEL ID   an AES key of that sort (KIND: aes)
//	stranger MODULE TOKEN swap   KIND LABEL ID   another public half in the place of the one of that ID
//	stranger MODULE TOKEN take   KIND LABEL ID   the public half of that ID is gone
//	stranger MODULE TOKEN plant  KIND LABEL ID   a public half on P-256 whose point is none
//	stranger MODULE TOKEN long   KIND LABEL ID   a public half on P-256 (KIND: p256), or a data object (data), whose label
//	                                             has 2 MiB
//	stranger MODULE TOKEN half   KIND LABEL ID   a public half of the stranger's own, beside what is there
//	stranger MODULE TOKEN freeze FROM LABEL ID   a copy, which nobody can change, of the certificate with the label FROM
//	stranger MODULE TOKEN nail   FROM LABEL ID   the same, which nobody can destroy
//	stranger MODULE TOKEN cert   KIND LABEL ID   a certificate that is none (KIND: garbage), or has 2 MiB (long)
//
// ID is in hexadecimal; "-" is none: then the object has no CKA_ID, and is found by its label.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long word;
typedef word (*function_t)();
// CK_FUNCTION_LIST: its version, then the functions in the order of PKCS#11 v2.40, section 6.
typedef struct { unsigned char version[2]; function_t functions[68]; } list_t;
typedef struct { word type; void *value; word length; } attribute_t;
typedef struct { word type; void *parameter; word length; } mechanism_t;

enum { INITIALIZE = 0, GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6, OPEN_SESSION = 12, CREATE_OBJECT = 20,
	DESTROY_OBJECT = 22, GET_ATTRIBUTE_VALUE = 24,
	FIND_INIT = 26, FIND = 27, FIND_FINAL = 28, GENERATE_KEY = 58, GENERATE_KEY_PAIR = 59 };
enum { CLASS = 0x0, TOKEN = 0x1, PRIVATE = 0x2, LABEL = 0x3, VALUE = 0x11, CERTIFICATE_TYPE = 0x80, SUBJECT = 0x101,
	VALUE_LEN = 0x161, MODIFIABLE = 0x170, DESTROYABLE = 0x172, KEY_TYPE = 0x100, ID = 0x102,
	SIGN = 0x108,
	VERIFY = 0x10A, ENCRYPT = 0x104, MODULUS_BITS = 0x121, PUBLIC_EXPONENT = 0x122, EC_PARAMS = 0x180, EC_POINT = 0x181 };
enum { CERTIFICATE = 1, PUBLIC_KEY = 2, LONG = 2 << 20 };

static list_t *list;
static word session;
static unsigned char yes = 1, no = 0;
static unsigned char p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}, exponent[] = {1, 0, 1};
static char *label;
static unsigned char id[256];
static word id_length;

static void must(const char *what, word code) {
	if (code == 0)
		return;
	fprintf(stderr, "%s: 0x%lx\n", what, code);
	exit(1);
}

// The names of an object; one without an ID has no such attribute.
static word names(attribute_t *attributes, word n) {
	attributes[n++] = (attribute_t){LABEL, label, strlen(label)};
	if (id_length > 0)
		attributes[n++] = (attribute_t){ID, id, id_length};
	return n;
}

// Makes a pair whose public half is on the token, and whose private half is there too, or is gone when the session
// ends.
static void pair(const char *kind, unsigned char *keep) {
	word bits = 1024;
	attribute_t public[8] = {{TOKEN, &yes, 1}, {PRIVATE, &no, 1}, {VERIFY, &yes, 1}};
	attribute_t private[8] = {{TOKEN, keep, 1}, {PRIVATE, &no, 1}, {SIGN, &yes, 1}};
	word n = names(public, 3), made[2];
	mechanism_t mechanism = {0x1040, NULL, 0};
	if (strcmp(kind, "rsa") == 0) {
		mechanism.type = 0;
		public[n++] = (attribute_t){MODULUS_BITS, &bits, sizeof bits};
		public[n++] = (attribute_t){PUBLIC_EXPONENT, exponent, sizeof exponent};
	} else {
		public[n++] = (attribute_t){EC_PARAMS, p256, sizeof p256};
	}
	must("C_GenerateKeyPair", list->functions[GENERATE_KEY_PAIR](session, &mechanism, public, n, private, names(private,
		3), &made[0], &made[1]));
}

// Destroys the given public halves.
static void destroy(word *found, word n) {
	for (word i = 0; i < n; i++)
		must("C_DestroyObject", list->functions[DESTROY_OBJECT](session, found[i]));
}

// Finds the public halves of the ID, or of the label where there is none.
static word publics(word *found) {
	word class = PUBLIC_KEY, n = 0;
	attribute_t wanted[] = {{CLASS, &class, sizeof class}, {ID, id, id_length}};
	if (id_length == 0)
		wanted[1] = (attribute_t){LABEL, label, strlen(label)};
	must("C_FindObjectsInit", list->functions[FIND_INIT](session, wanted, 2UL));
	must("C_FindObjects", list->functions[FIND](session, found, 8UL, &n));
	must("C_FindObjectsFinal", list->functions[FIND_FINAL](session));
	if (n == 0)
		must("no public half", 1);
	return n;
}

static void open_session(const char *module, const char *token) {
	word slots[256], n = 256;
	void *library = dlopen(module, RTLD_NOW);
	word (*get)(list_t **) = library ? dlsym(library, "C_GetFunctionList") : NULL;
	if (get == NULL)
		must(dlerror(), 1);
	must("C_GetFunctionList", get(&list));
	must("C_Initialize", list->functions[INITIALIZE](NULL));
	must("C_GetSlotList", list->functions[GET_SLOT_LIST](1, slots, &n));
	for (word i = 0; i < n; i++) {
		char info[256] = {0}, padded[33];
		snprintf(padded, sizeof padded, "%-32s", token);
		if (list->functions[GET_TOKEN_INFO](slots[i], info) == 0 && memcmp(info, padded, 32) == 0) {
			must("C_OpenSession", list->functions[OPEN_SESSION](slots[i], 6UL, NULL, NULL, &session));
			return;
		}
	}
	must("no such token", 1);
}

int main(int argc, char **argv) {
	if (argc != 7)
		return 2;
	const char *act = argv[3], *kind = argv[4];
	word found[8], n;
	label = argv[5];
	if (strcmp(argv[6], "-") != 0)
		for (char *hex = argv[6]; sscanf(hex, "%2hhx", &id[id_length]) == 1; hex += 2)
			id_length++;
	open_session(argv[1], argv[2]);
	if (strcmp(act, "pair") == 0) {
		pair(kind, &yes);
	} else if (strcmp(act, "half") == 0) {
		pair(kind, &no);
	} else if (strcmp(act, "secret") == 0) {
		word length = 16, made;
		mechanism_t mechanism = {0x1080, NULL, 0};
		attribute_t attributes[8] = {{TOKEN, &yes, 1}, {PRIVATE, &no, 1}, {ENCRYPT, &yes, 1}, {VALUE_LEN, &length,
			sizeof length}};
		must("C_GenerateKey", list->functions[GENERATE_KEY](session, &mechanism, attributes, names(attributes, 4), &made));
	} else if (strcmp(act, "swap") == 0) {
		n = publics(found);
		pair(kind, &no);
		destroy(found, n);
	} else if (strcmp(act, "take") == 0) {
		n = publics(found);
		destroy(found, n);
	} else if (strcmp(act, "plant") == 0) {
		word class = PUBLIC_KEY, type = 3, made;
		unsigned char point[] = {4, 3, 4, 1, 1};
		attribute_t attributes[10] = {{CLASS, &class, sizeof class}, {KEY_TYPE, &type, sizeof type}, {TOKEN, &yes, 1},
			{PRIVATE, &no, 1}, {EC_PARAMS, p256, sizeof p256}, {EC_POINT, point, sizeof point}};
		must("C_CreateObject", list->functions[CREATE_OBJECT](session, attributes, names(attributes, 6), &made));
	} else if (strcmp(act, "cert") == 0) {
		word class = CERTIFICATE, type = 0, made;
		unsigned char *value = calloc(LONG, 1);
		attribute_t attributes[10] = {{CLASS, &class, sizeof class}, {CERTIFICATE_TYPE, &type, sizeof type},
			{TOKEN, &yes, 1}, {PRIVATE, &no, 1}, {SUBJECT, "0", 1}, {VALUE, value, strcmp(kind, "long") == 0 ? LONG : 100}};
		must("C_CreateObject", list->functions[CREATE_OBJECT](session, attributes, names(attributes, 6), &made));
	} else if (strcmp(act, "freeze") == 0 || strcmp(act, "nail") == 0) {
		word class = CERTIFICATE, type = 0, made;
		unsigned char subject[4096], value[4096];
		attribute_t wanted[] = {{CLASS, &class, sizeof class}, {LABEL, argv[4], strlen(argv[4])}};
		attribute_t attributes[10] = {{SUBJECT, subject, sizeof subject}, {VALUE, value, sizeof value},
			{CLASS, &class, sizeof class}, {CERTIFICATE_TYPE, &type, sizeof type}, {TOKEN, &yes, 1}, {PRIVATE, &no, 1},
			{strcmp(act, "nail") == 0 ? DESTROYABLE : MODIFIABLE, &no, 1}};
		must("C_FindObjectsInit", list->functions[FIND_INIT](session, wanted, 2UL));
		must("C_FindObjects", list->functions[FIND](session, found, 1UL, &n));
		must("C_FindObjectsFinal", list->functions[FIND_FINAL](session));
		if (n == 0)
			must("no certificate", 1);
		must("C_GetAttributeValue", list->functions[GET_ATTRIBUTE_VALUE](session, found[0], attributes, 2UL));
		must("C_CreateObject", list->functions[CREATE_OBJECT](session, attributes, names(attributes, 7), &made));
	} else if (strcmp(act, "long") == 0) {
		word data = 0, made;
		attribute_t attributes[8] = {{CLASS, &data, sizeof data}, {TOKEN, &yes, 1}, {PRIVATE, &no, 1}};
		label = calloc(LONG + 1, 1);
		memset(label, 'x', LONG);
		if (strcmp(kind, "data") != 0) {
			pair(kind, &no);
		} else {
			attributes[3] = (attribute_t){LABEL, label, LONG};
			must("C_CreateObject", list->functions[CREATE_OBJECT](session, attributes, 4UL, &made));
		}
	} else {
		return 2;
	}
	return 0;
}
