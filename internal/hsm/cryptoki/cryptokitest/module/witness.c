// A PKCS#11 module for Windows, whose keys are made and used by Windows' own cryptography (CNG). It is a witness of the
// binary interface there: it declares what it needs of PKCS#11 itself, from the specification, and shares no header with
// the code that it is a witness for. scripts/check-windows builds it.
//
// It checks all that it is given, and refuses what does not fit, with a line WRONG in its journal. What it gives has a
// value of its own in every field. These environment variables lead it, all but the first may be absent:
//
//	HSMTEST_WITNESS_JOURNAL  a file: a line for each call that has a template, a mechanism or arguments of C_Initialize,
//	                         with all that the module has understood
//	HSMTEST_WITNESS_STORE    a file that keeps the first token from one process to the next
//	HSMTEST_WITNESS_BLANK    the first token is not initialised, as long as it has not been stored
#include <windows.h>
#include <bcrypt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// PKCS#11 v2.40, 2.1: on Windows structures are packed to 1 byte. CK_ULONG is an unsigned long int, of 4 bytes there.
#pragma pack(push, cryptoki, 1)
typedef unsigned char CK_BYTE, CK_BBOOL, CK_UTF8CHAR, CK_CHAR;
typedef unsigned long int CK_ULONG, CK_RV, CK_FLAGS, CK_SLOT_ID, CK_SESSION_HANDLE, CK_OBJECT_HANDLE;
typedef void *CK_VOID_PTR;

typedef struct { CK_BYTE major; CK_BYTE minor; } CK_VERSION;

typedef struct {
	CK_VERSION cryptokiVersion;
	CK_UTF8CHAR manufacturerID[32];
	CK_FLAGS flags;
	CK_UTF8CHAR libraryDescription[32];
	CK_VERSION libraryVersion;
} CK_INFO;

typedef struct {
	CK_UTF8CHAR slotDescription[64];
	CK_UTF8CHAR manufacturerID[32];
	CK_FLAGS flags;
	CK_VERSION hardwareVersion;
	CK_VERSION firmwareVersion;
} CK_SLOT_INFO;

typedef struct {
	CK_UTF8CHAR label[32];
	CK_UTF8CHAR manufacturerID[32];
	CK_UTF8CHAR model[16];
	CK_CHAR serialNumber[16];
	CK_FLAGS flags;
	CK_ULONG ulMaxSessionCount;
	CK_ULONG ulSessionCount;
	CK_ULONG ulMaxRwSessionCount;
	CK_ULONG ulRwSessionCount;
	CK_ULONG ulMaxPinLen;
	CK_ULONG ulMinPinLen;
	CK_ULONG ulTotalPublicMemory;
	CK_ULONG ulFreePublicMemory;
	CK_ULONG ulTotalPrivateMemory;
	CK_ULONG ulFreePrivateMemory;
	CK_VERSION hardwareVersion;
	CK_VERSION firmwareVersion;
	CK_CHAR utcTime[16];
} CK_TOKEN_INFO;

typedef struct { CK_SLOT_ID slotID; CK_ULONG state; CK_FLAGS flags; CK_ULONG ulDeviceError; } CK_SESSION_INFO;
typedef struct { CK_ULONG type; CK_VOID_PTR pValue; CK_ULONG ulValueLen; } CK_ATTRIBUTE;
typedef struct { CK_ULONG mechanism; CK_VOID_PTR pParameter; CK_ULONG ulParameterLen; } CK_MECHANISM;
typedef struct { CK_ULONG ulMinKeySize; CK_ULONG ulMaxKeySize; CK_FLAGS flags; } CK_MECHANISM_INFO;
typedef struct { CK_ULONG hashAlg; CK_ULONG mgf; CK_ULONG sLen; } CK_RSA_PKCS_PSS_PARAMS;

typedef struct {
	CK_ULONG hashAlg;
	CK_ULONG mgf;
	CK_ULONG source;
	CK_VOID_PTR pSourceData;
	CK_ULONG ulSourceDataLen;
} CK_RSA_PKCS_OAEP_PARAMS;

typedef struct {
	CK_ULONG kdf;
	CK_ULONG ulSharedDataLen;
	CK_BYTE *pSharedData;
	CK_ULONG ulPublicDataLen;
	CK_BYTE *pPublicData;
} CK_ECDH1_DERIVE_PARAMS;

typedef struct {
	CK_VOID_PTR CreateMutex;
	CK_VOID_PTR DestroyMutex;
	CK_VOID_PTR LockMutex;
	CK_VOID_PTR UnlockMutex;
	CK_FLAGS flags;
	CK_VOID_PTR pReserved;
} CK_C_INITIALIZE_ARGS;

typedef struct { CK_VERSION version; void *functions[68]; } CK_FUNCTION_LIST;
#pragma pack(pop, cryptoki)

// Sizes in bytes, counted by hand.
#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type)
SIZE(CK_ULONG, 4);
SIZE(CK_INFO, 2 + 32 + 4 + 32 + 2);
SIZE(CK_SLOT_INFO, 64 + 32 + 4 + 2 + 2);
SIZE(CK_TOKEN_INFO, 32 + 32 + 16 + 16 + 11 * 4 + 2 + 2 + 16);
SIZE(CK_ATTRIBUTE, 4 + 8 + 4);
SIZE(CK_MECHANISM, 4 + 8 + 4);
SIZE(CK_RSA_PKCS_OAEP_PARAMS, 3 * 4 + 8 + 4);
SIZE(CK_ECDH1_DERIVE_PARAMS, 4 + 4 + 8 + 4 + 8);
SIZE(CK_C_INITIALIZE_ARGS, 4 * 8 + 4 + 8);
SIZE(CK_FUNCTION_LIST, 2 + 68 * 8);

enum {
	OK = 0x0, SLOT_ID_INVALID = 0x3, GENERAL_ERROR = 0x5, ARGUMENTS_BAD = 0x7, ATTRIBUTE_READ_ONLY = 0x10,
	ATTRIBUTE_SENSITIVE = 0x11, ATTRIBUTE_TYPE_INVALID = 0x12, ATTRIBUTE_VALUE_INVALID = 0x13, DATA_LEN_RANGE = 0x21,
	DEVICE_MEMORY = 0x31, FUNCTION_NOT_SUPPORTED = 0x54, KEY_FUNCTION_NOT_PERMITTED = 0x68, KEY_TYPE_INCONSISTENT = 0x63,
	MECHANISM_INVALID = 0x70, MECHANISM_PARAM_INVALID = 0x71, OBJECT_HANDLE_INVALID = 0x82, OPERATION_ACTIVE = 0x90,
	OPERATION_NOT_INITIALIZED = 0x91, PIN_INCORRECT = 0xA0, PIN_LEN_RANGE = 0xA2, SESSION_COUNT = 0xB1,
	SESSION_HANDLE_INVALID = 0xB3, SESSION_READ_ONLY = 0xB5, SESSION_EXISTS = 0xB6, TEMPLATE_INCOMPLETE = 0xD0,
	TOKEN_NOT_PRESENT = 0xE0, USER_ALREADY_LOGGED_IN = 0x100, USER_NOT_LOGGED_IN = 0x101, USER_PIN_NOT_INITIALIZED = 0x102,
	USER_TYPE_INVALID = 0x103, BUFFER_TOO_SMALL = 0x150, NOT_INITIALIZED = 0x190, ALREADY_INITIALIZED = 0x191,
};
#define UNAVAILABLE 0xFFFFFFFFul

enum {
	CLASS = 0x0, TOKEN = 0x1, PRIVATE = 0x2, LABEL = 0x3, VALUE = 0x11, KEY_TYPE = 0x100, ID = 0x102, SENSITIVE = 0x103,
	ENCRYPT = 0x104, DECRYPT = 0x105, WRAP = 0x106, UNWRAP = 0x107, SIGN = 0x108, SIGN_RECOVER = 0x109, VERIFY = 0x10A,
	VERIFY_RECOVER = 0x10B, DERIVE = 0x10C, MODULUS = 0x120, MODULUS_BITS = 0x121, PUBLIC_EXPONENT = 0x122,
	PRIVATE_EXPONENT = 0x123, EXTRACTABLE = 0x162, LOCAL = 0x163, NEVER_EXTRACTABLE = 0x164, ALWAYS_SENSITIVE = 0x165,
	MODIFIABLE = 0x170, EC_PARAMS = 0x180, EC_POINT = 0x181, ALWAYS_AUTHENTICATE = 0x202,
	ALLOWED_MECHANISMS = 0x40000600, CNG_BLOB = 0x80000001,
};
enum { PUBLIC_KEY = 2, PRIVATE_KEY = 3, RSA = 0, EC = 3 };

// The attributes that are flags or numbers. All others are bytes.
static const CK_ULONG flags[] = {
	TOKEN, PRIVATE, SENSITIVE, ENCRYPT, DECRYPT, WRAP, UNWRAP, SIGN, SIGN_RECOVER, VERIFY, VERIFY_RECOVER, DERIVE,
	EXTRACTABLE, LOCAL, NEVER_EXTRACTABLE, ALWAYS_SENSITIVE, MODIFIABLE, 0x171 /* CKA_COPYABLE */, 0x172 /* CKA_DESTROYABLE */,
	0x86 /* CKA_TRUSTED */, ALWAYS_AUTHENTICATE,
};
static const CK_ULONG numbers[] = {CLASS, KEY_TYPE, MODULUS_BITS, 0x80 /* CKA_CERTIFICATE_TYPE */, 0x161 /* CKA_VALUE_LEN */};

static int is_in(CK_ULONG type, const CK_ULONG *list, size_t count) {
	while (count-- > 0)
		if (list[count] == type)
			return 1;
	return 0;
}
#define IS_IN(type, list) is_in(type, list, sizeof list / sizeof *list)

struct value { CK_ULONG type, length; CK_BYTE *bytes; };
struct object { CK_OBJECT_HANDLE handle; CK_SESSION_HANDLE owner; CK_ULONG count; struct value values[48]; };
struct pin { CK_ULONG length; CK_BYTE bytes[32]; };

enum { OBJECTS = 4096, SESSIONS = 1001, EMPTY_SLOT = 0x11, OTHER_SLOT = 0x33, FIRST_HANDLE = 0x70000001 };
static const CK_SLOT_ID token_slot = 0x80000022; // the highest bit is set, so that a sign would show

static SRWLOCK lock = SRWLOCK_INIT;
static int initialized;
static struct {
	CK_ULONG initialised;
	CK_UTF8CHAR label[32];
	struct pin officer, user;
	CK_ULONG wrong; // a wrong PIN was tried since the last right one
	CK_OBJECT_HANDLE next;
} token;
static struct object *objects[OBJECTS];
static CK_ULONG login = UNAVAILABLE; // CKU_SO 0, CKU_USER 1

struct session {
	CK_SESSION_HANDLE handle;
	CK_SLOT_ID slot;
	CK_FLAGS flags;
	int searching, signing;
	CK_OBJECT_HANDLE *found;
	CK_ULONG count, shown;
	const struct signature *how;
	CK_OBJECT_HANDLE key;
	CK_ULONG hash; // of RSASSA-PSS
};
static struct session sessions[SESSIONS];
static CK_SESSION_HANDLE next_session = 0x90000001;

static void unlock(SRWLOCK **held) { ReleaseSRWLockExclusive(*held); }
#define LOCKED \
	__attribute__((cleanup(unlock))) SRWLOCK *held = &lock; \
	AcquireSRWLockExclusive(held); \
	if (!initialized) \
		return NOT_INITIALIZED

// The journal.

static FILE *open_named(const wchar_t *variable, const wchar_t *mode) {
	wchar_t path[1024];
	DWORD length = GetEnvironmentVariableW(variable, path, 1024);
	return length == 0 || length >= 1024 ? NULL : _wfopen(path, mode);
}

static void note(const char *format, ...) {
	FILE *f = open_named(L"HSMTEST_WITNESS_JOURNAL", L"ab");
	if (f == NULL)
		return;
	va_list arguments;
	va_start(arguments, format);
	vfprintf(f, format, arguments);
	va_end(arguments);
	fputc('\n', f);
	fclose(f);
}

static CK_RV wrong(const char *function, const char *what) {
	note("WRONG %s: %s", function, what);
	return ARGUMENTS_BAD;
}

// template_text checks a template, and writes it out: " 0x102=6964" for each attribute.
static CK_RV template_text(const char *function, const CK_ATTRIBUTE *template, CK_ULONG count, char **text) {
	size_t length = 1;
	if (count > 64 || (count == 0) != (template == NULL))
		return wrong(function, "a template without attributes, or of too many");
	for (CK_ULONG i = 0; i < count; i++) {
		const CK_ATTRIBUTE *a = &template[i];
		if ((a->ulValueLen == 0) != (a->pValue == NULL) || a->ulValueLen > 1 << 22)
			return wrong(function, "an attribute whose value and length do not fit");
		if (IS_IN(a->type, flags) && (a->ulValueLen != 1 || *(CK_BYTE *)a->pValue > 1))
			return wrong(function, "a CK_BBOOL that is none");
		if (IS_IN(a->type, numbers) && a->ulValueLen != sizeof(CK_ULONG))
			return wrong(function, "a CK_ULONG that has not 4 bytes");
		length += 16 + 2 * a->ulValueLen;
	}
	char *end = *text = malloc(length);
	*end = 0;
	for (CK_ULONG i = 0; i < count; i++) {
		end += sprintf(end, " 0x%lX=", template[i].type);
		for (CK_ULONG j = 0; j < template[i].ulValueLen; j++)
			end += sprintf(end, "%02x", ((CK_BYTE *)template[i].pValue)[j]);
	}
	return OK;
}

// Objects.

static struct value *value_of(struct object *o, CK_ULONG type) {
	for (CK_ULONG i = 0; i < o->count; i++)
		if (o->values[i].type == type)
			return &o->values[i];
	return NULL;
}

static int is(struct object *o, CK_ULONG type) {
	struct value *v = value_of(o, type);
	return v != NULL && v->length == 1 && v->bytes[0] == 1;
}

static int is_number(struct object *o, CK_ULONG type, CK_ULONG number) {
	struct value *v = value_of(o, type);
	return v != NULL && v->length == sizeof number && memcmp(v->bytes, &number, sizeof number) == 0;
}

static void put(struct object *o, CK_ULONG type, const void *bytes, CK_ULONG length) {
	struct value *v = value_of(o, type);
	if (v == NULL) {
		v = &o->values[o->count++];
		v->type = type;
	} else {
		free(v->bytes);
	}
	v->length = length;
	v->bytes = malloc(length + 1);
	memcpy(v->bytes, bytes, length);
}

static void put_flag(struct object *o, CK_ULONG type, CK_BYTE flag) { put(o, type, &flag, 1); }
static void put_number(struct object *o, CK_ULONG type, CK_ULONG number) { put(o, type, &number, sizeof number); }

static void put_all(struct object *o, const CK_ATTRIBUTE *template, CK_ULONG count) {
	for (CK_ULONG i = 0; i < count; i++)
		if (template[i].type != MODULUS_BITS || is_number(o, CLASS, PUBLIC_KEY))
			put(o, template[i].type, template[i].pValue, template[i].ulValueLen);
}

static struct object *new_object(const struct session *s) {
	for (int i = 0; i < OBJECTS; i++) {
		if (objects[i] != NULL)
			continue;
		objects[i] = calloc(1, sizeof **objects);
		objects[i]->handle = token.next++;
		objects[i]->owner = s == NULL ? 0 : s->handle;
		return objects[i];
	}
	return NULL;
}

static void remove_object(struct object *gone) {
	for (int i = 0; i < OBJECTS; i++)
		if (objects[i] == gone)
			objects[i] = NULL;
	for (CK_ULONG i = 0; i < gone->count; i++)
		free(gone->values[i].bytes);
	free(gone);
}

static int seen(const struct session *s, struct object *o) {
	return s->slot == token_slot && (login == 1 || !is(o, PRIVATE)) && (is(o, TOKEN) || o->owner == s->handle);
}

static struct object *object_of(const struct session *s, CK_OBJECT_HANDLE handle) {
	for (int i = 0; i < OBJECTS; i++)
		if (objects[i] != NULL && objects[i]->handle == handle && seen(s, objects[i]))
			return objects[i];
	return NULL;
}

// The store.

static void store(void) {
	FILE *f = open_named(L"HSMTEST_WITNESS_STORE", L"wb");
	if (f == NULL)
		return;
	fwrite(&token, sizeof token, 1, f);
	for (int i = 0; i < OBJECTS; i++) {
		struct object *o = objects[i];
		if (o == NULL || !is(o, TOKEN))
			continue;
		fwrite(&o->handle, sizeof o->handle, 1, f);
		fwrite(&o->count, sizeof o->count, 1, f);
		for (CK_ULONG j = 0; j < o->count; j++) {
			fwrite(&o->values[j], 2 * sizeof(CK_ULONG), 1, f);
			fwrite(o->values[j].bytes, 1, o->values[j].length, f);
		}
	}
	fclose(f);
}

static void restore(void) {
	memset(&token, 0, sizeof token);
	memset(token.label, ' ', sizeof token.label);
	token.next = FIRST_HANDLE;
	if (GetEnvironmentVariableW(L"HSMTEST_WITNESS_BLANK", NULL, 0) == 0) {
		token.initialised = 1;
		memcpy(token.label, "witness", 7);
		token.officer = (struct pin){8, "12345678"};
		token.user = (struct pin){8, "87654321"};
	}
	FILE *f = open_named(L"HSMTEST_WITNESS_STORE", L"rb");
	if (f == NULL)
		return;
	if (fread(&token, sizeof token, 1, f) == 1) {
		CK_ULONG head[2];
		while (fread(head, sizeof head, 1, f) == 1) {
			struct object *o = new_object(NULL);
			o->handle = head[0];
			for (CK_ULONG i = 0, of[2]; i < head[1] && fread(of, sizeof of, 1, f) == 1; i++) {
				CK_BYTE *bytes = malloc(of[1] + 1);
				if (fread(bytes, 1, of[1], f) == of[1])
					put(o, of[0], bytes, of[1]);
				free(bytes);
			}
		}
	}
	fclose(f);
}

// The functions.

static CK_RV Initialize(CK_C_INITIALIZE_ARGS *args) {
	__attribute__((cleanup(unlock))) SRWLOCK *held = &lock;
	AcquireSRWLockExclusive(held);
	if (initialized)
		return ALREADY_INITIALIZED;
	if (args == NULL || args->CreateMutex != NULL || args->DestroyMutex != NULL || args->LockMutex != NULL ||
			args->UnlockMutex != NULL || args->flags != 2)
		return wrong("C_Initialize", "not CKF_OS_LOCKING_OK alone");
	note("C_Initialize %s", args->pReserved == NULL ? "NULL" : (char *)args->pReserved);
	restore();
	initialized = 1;
	return OK;
}

static void close_session(struct session *s) {
	for (int i = 0; i < OBJECTS; i++)
		if (objects[i] != NULL && !is(objects[i], TOKEN) && objects[i]->owner == s->handle)
			remove_object(objects[i]);
	free(s->found);
	CK_SLOT_ID slot = s->slot;
	memset(s, 0, sizeof *s);
	for (int i = 0; i < SESSIONS; i++)
		if (sessions[i].handle != 0 && sessions[i].slot == slot)
			return;
	if (slot == token_slot)
		login = UNAVAILABLE;
}

static CK_RV Finalize(void *reserved) {
	LOCKED;
	if (reserved != NULL)
		return wrong("C_Finalize", "an argument");
	for (int i = 0; i < SESSIONS; i++)
		if (sessions[i].handle != 0)
			close_session(&sessions[i]);
	for (int i = 0; i < OBJECTS; i++)
		if (objects[i] != NULL)
			remove_object(objects[i]);
	initialized = 0;
	note("C_Finalize");
	return OK;
}

// pad writes a text, and blanks behind it.
static void pad(void *to, size_t size, const char *text) {
	memset(to, ' ', size);
	memcpy(to, text, strlen(text));
}
#define PAD(field, text) pad(field, sizeof field, text)

static CK_RV GetInfo(CK_INFO *info) {
	LOCKED;
	*info = (CK_INFO){.cryptokiVersion = {2, 40}, .libraryVersion = {3, 141}};
	PAD(info->manufacturerID, "a maker of modules for Windows");
	PAD(info->libraryDescription, "a witness");
	return OK;
}

static CK_RV GetSlotList(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count) {
	LOCKED;
	const CK_SLOT_ID all[] = {token_slot, OTHER_SLOT, EMPTY_SLOT};
	CK_ULONG length = present ? 2 : 3, room = *count;
	if (present > 1)
		return wrong("C_GetSlotList", "a CK_BBOOL that is none");
	*count = length;
	if (slots == NULL)
		return OK;
	if (room < length)
		return BUFFER_TOO_SMALL;
	memcpy(slots, all, length * sizeof *slots);
	return OK;
}

static CK_RV GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO *info) {
	LOCKED;
	*info = (CK_SLOT_INFO){.hardwareVersion = {1, 2}, .firmwareVersion = {3, 4}};
	PAD(info->manufacturerID, "a maker of slots");
	if (slot == token_slot || slot == OTHER_SLOT) {
		PAD(info->slotDescription, "a slot with a token, described in no fewer than sixty-four bytes");
		info->flags = 0x1 | 0x4; // CKF_TOKEN_PRESENT, CKF_HW_SLOT
		return OK;
	}
	PAD(info->slotDescription, "an empty slot");
	info->flags = 0x2 | 0x80000000; // CKF_REMOVABLE_DEVICE, and one that nobody knows
	return slot == EMPTY_SLOT ? OK : SLOT_ID_INVALID;
}

static CK_RV GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info) {
	LOCKED;
	if (slot == EMPTY_SLOT)
		return TOKEN_NOT_PRESENT;
	if (slot != token_slot && slot != OTHER_SLOT)
		return SLOT_ID_INVALID;
	memset(info, 0xFF, sizeof *info); // a number that is not told: CK_UNAVAILABLE_INFORMATION
	PAD(info->label, "tells no numbers");
	PAD(info->manufacturerID, "a maker of tokens");
	PAD(info->model, "sixteen bytes so");
	PAD(info->serialNumber, "0123456789ABCDEF");
	info->flags = 0x1 | 0x4 | 0x8 | 0x400; // CKF_RNG, _LOGIN_REQUIRED, _USER_PIN_INITIALIZED, _TOKEN_INITIALIZED
	info->ulMaxPinLen = info->ulMinPinLen = 8;
	info->hardwareVersion = info->firmwareVersion = (CK_VERSION){0, 0};
	memset(info->utcTime, ' ', sizeof info->utcTime);
	if (slot == OTHER_SLOT)
		return OK;
	memcpy(info->label, token.label, sizeof info->label);
	PAD(info->serialNumber, "W1");
	PAD(info->model, "witness");
	info->flags = 0x1 | 0x4 | 0x40 | (token.initialised ? 0x400 : 0) | (token.user.length ? 0x8 : 0) | token.wrong;
	info->ulMaxSessionCount = SESSIONS;
	info->ulSessionCount = 2;
	info->ulMaxRwSessionCount = 999;
	info->ulRwSessionCount = 1;
	info->ulMaxPinLen = 32;
	info->ulMinPinLen = 4;
	info->ulTotalPublicMemory = 0xFFFFFFFE; // not CK_UNAVAILABLE_INFORMATION, nor below 0
	info->ulFreePublicMemory = 0x80000000;
	info->ulTotalPrivateMemory = 0x01020304;
	info->ulFreePrivateMemory = 0x01020300;
	info->hardwareVersion = (CK_VERSION){5, 6};
	info->firmwareVersion = (CK_VERSION){7, 8};
	memcpy(info->utcTime, "2026113023595900", sizeof info->utcTime);
	return OK;
}

static const struct mechanism { CK_ULONG type; CK_MECHANISM_INFO info; } mechanisms[] = {
	{0x0000, {1024, 4096, 0x10000}},                // CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR
	{0x0001, {1024, 4096, 0x800}},                  // CKM_RSA_PKCS, CKF_SIGN
	{0x000D, {1024, 4096, 0x800}},                  // CKM_RSA_PKCS_PSS
	{0x0040, {1024, 4096, 0x800}},                  // CKM_SHA256_RSA_PKCS
	{0x0043, {1024, 4096, 0x800}},                  // CKM_SHA256_RSA_PKCS_PSS
	{0x1040, {256, 256, 0x10000 | 0x100000 | 0x1}}, // CKM_EC_KEY_PAIR_GEN, CKF_EC_F_P, CKF_HW
	{0x1041, {256, 256, 0x800}},                    // CKM_ECDSA
	{0x80000ABC, {UNAVAILABLE, 0xFFFFFFFE, 0x80000000}}, // a vendor's, CKF_EXTENSION
};
enum { MECHANISMS = sizeof mechanisms / sizeof *mechanisms };

static CK_RV GetMechanismList(CK_SLOT_ID slot, CK_ULONG *types, CK_ULONG *count) {
	LOCKED;
	if (slot != token_slot && slot != OTHER_SLOT)
		return SLOT_ID_INVALID;
	CK_ULONG room = *count;
	*count = MECHANISMS;
	if (types == NULL)
		return OK;
	if (room < MECHANISMS)
		return BUFFER_TOO_SMALL;
	for (int i = 0; i < MECHANISMS; i++)
		types[i] = mechanisms[i].type;
	return OK;
}

static CK_RV GetMechanismInfo(CK_SLOT_ID slot, CK_ULONG type, CK_MECHANISM_INFO *info) {
	LOCKED;
	if (slot != token_slot && slot != OTHER_SLOT)
		return SLOT_ID_INVALID;
	for (int i = 0; i < MECHANISMS; i++)
		if (mechanisms[i].type == type) {
			*info = mechanisms[i].info;
			return OK;
		}
	return MECHANISM_INVALID;
}

static CK_RV set_pin(struct pin *pin, const CK_BYTE *bytes, CK_ULONG length) {
	if (bytes == NULL || length < 4 || length > 32)
		return PIN_LEN_RANGE;
	pin->length = length;
	memcpy(pin->bytes, bytes, length);
	return OK;
}

static int is_pin(const struct pin *pin, const CK_BYTE *bytes, CK_ULONG length) {
	return bytes != NULL && length == pin->length && memcmp(pin->bytes, bytes, length) == 0;
}

static CK_RV InitToken(CK_SLOT_ID slot, CK_BYTE *pin, CK_ULONG length, CK_UTF8CHAR *label) {
	LOCKED;
	if (slot != token_slot)
		return SLOT_ID_INVALID;
	for (int i = 0; i < SESSIONS; i++)
		if (sessions[i].handle != 0 && sessions[i].slot == slot)
			return SESSION_EXISTS;
	if (token.initialised && !is_pin(&token.officer, pin, length))
		return PIN_INCORRECT;
	CK_RV rv = set_pin(&token.officer, pin, length);
	if (rv != OK)
		return rv;
	for (int i = 0; i < OBJECTS; i++)
		if (objects[i] != NULL)
			remove_object(objects[i]);
	memcpy(token.label, label, sizeof token.label);
	token.user.length = 0;
	token.initialised = 1;
	note("C_InitToken |%.32s|", label);
	store();
	return OK;
}

static struct session *session_of(CK_SESSION_HANDLE handle) {
	for (int i = 0; i < SESSIONS; i++)
		if (handle != 0 && sessions[i].handle == handle)
			return &sessions[i];
	return NULL;
}

// SESSION has the session of a function.
#define SESSION(handle) \
	LOCKED; \
	struct session *s = session_of(handle); \
	if (s == NULL) \
		return SESSION_HANDLE_INVALID

static CK_RV InitPIN(CK_SESSION_HANDLE handle, CK_BYTE *pin, CK_ULONG length) {
	SESSION(handle);
	if (login != 0)
		return USER_NOT_LOGGED_IN;
	CK_RV rv = set_pin(&token.user, pin, length);
	store();
	return rv;
}

static CK_RV SetPIN(CK_SESSION_HANDLE handle, CK_BYTE *old, CK_ULONG old_length, CK_BYTE *pin, CK_ULONG length) {
	SESSION(handle);
	struct pin *which = login == 0 ? &token.officer : &token.user;
	if (!is_pin(which, old, old_length))
		return PIN_INCORRECT;
	CK_RV rv = set_pin(which, pin, length);
	store();
	return rv;
}

static CK_RV OpenSession(CK_SLOT_ID slot, CK_FLAGS session_flags, void *application, void *notify, CK_SESSION_HANDLE *session) {
	LOCKED;
	if (slot == EMPTY_SLOT)
		return TOKEN_NOT_PRESENT;
	if (slot != token_slot && slot != OTHER_SLOT)
		return SLOT_ID_INVALID;
	if ((session_flags & ~0x2ul) != 0x4 || application != NULL || notify != NULL)
		return wrong("C_OpenSession", "other flags than CKF_SERIAL_SESSION and CKF_RW_SESSION, or a callback");
	for (int i = 0; i < SESSIONS; i++)
		if (sessions[i].handle == 0) {
			sessions[i] = (struct session){.handle = next_session++, .slot = slot, .flags = session_flags};
			*session = sessions[i].handle;
			return OK;
		}
	return SESSION_COUNT;
}

static CK_RV CloseSession(CK_SESSION_HANDLE handle) {
	SESSION(handle);
	close_session(s);
	return OK;
}

static CK_RV CloseAllSessions(CK_SLOT_ID slot) {
	LOCKED;
	for (int i = 0; i < SESSIONS; i++)
		if (sessions[i].handle != 0 && sessions[i].slot == slot)
			close_session(&sessions[i]);
	return OK;
}

static CK_RV GetSessionInfo(CK_SESSION_HANDLE handle, CK_SESSION_INFO *info) {
	SESSION(handle);
	CK_ULONG rw = s->flags & 0x2 ? 2 : 0; // CKS_RO_PUBLIC_SESSION 0, RO_USER 1, RW_PUBLIC 2, RW_USER 3, RW_SO 4
	*info = (CK_SESSION_INFO){s->slot, login == 1 ? rw + 1 : login == 0 ? 4 : rw, s->flags, 0x80000001};
	return OK;
}

static CK_RV Login(CK_SESSION_HANDLE handle, CK_ULONG user, CK_BYTE *pin, CK_ULONG length) {
	SESSION(handle);
	if (s->slot != token_slot)
		return PIN_INCORRECT;
	if (user > 1)
		return USER_TYPE_INVALID;
	if (login != UNAVAILABLE)
		return USER_ALREADY_LOGGED_IN;
	if (user == 1 && token.user.length == 0)
		return USER_PIN_NOT_INITIALIZED;
	int right = is_pin(user == 0 ? &token.officer : &token.user, pin, length);
	CK_ULONG low = user == 0 ? 0x100000 : 0x10000; // CKF_SO_PIN_COUNT_LOW, CKF_USER_PIN_COUNT_LOW
	token.wrong = right ? token.wrong & ~low : token.wrong | low;
	store();
	if (!right)
		return PIN_INCORRECT;
	login = user;
	return OK;
}

static CK_RV Logout(CK_SESSION_HANDLE handle) {
	SESSION(handle);
	if (login == UNAVAILABLE)
		return USER_NOT_LOGGED_IN;
	login = UNAVAILABLE;
	return OK;
}

// may_write says why an object with that template cannot be made in a session.
static CK_RV may_write(const struct session *s, int on_token, int private) {
	if (s->slot != token_slot)
		return USER_NOT_LOGGED_IN;
	if (on_token && !(s->flags & 0x2))
		return SESSION_READ_ONLY;
	return private && login != 1 ? USER_NOT_LOGGED_IN : OK;
}

static CK_RV CreateObject(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *object) {
	SESSION(handle);
	char *text;
	CK_RV rv = template_text("C_CreateObject", template, count, &text);
	if (rv != OK)
		return rv;
	note("C_CreateObject%s", text);
	free(text);
	struct object *o = new_object(s);
	if (o == NULL)
		return DEVICE_MEMORY;
	put_flag(o, TOKEN, 0);
	put_flag(o, PRIVATE, 0);
	put_flag(o, MODIFIABLE, 1);
	put_all(o, template, count);
	if (value_of(o, CLASS) == NULL)
		rv = TEMPLATE_INCOMPLETE;
	if (rv == OK)
		rv = may_write(s, is(o, TOKEN), is(o, PRIVATE));
	if (rv != OK) {
		remove_object(o);
		return rv;
	}
	*object = o->handle;
	store();
	return OK;
}

static CK_RV DestroyObject(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object) {
	SESSION(handle);
	struct object *o = object_of(s, object);
	if (o == NULL)
		return OBJECT_HANDLE_INVALID;
	CK_RV rv = may_write(s, is(o, TOKEN), is(o, PRIVATE));
	if (rv != OK)
		return rv;
	remove_object(o);
	store();
	return OK;
}

static CK_RV GetAttributeValue(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, CK_ULONG count) {
	SESSION(handle);
	if (template == NULL || count == 0 || count > 64)
		return wrong("C_GetAttributeValue", "a template without attributes, or of too many");
	struct object *o = object_of(s, object);
	if (o == NULL)
		return OBJECT_HANDLE_INVALID;
	CK_RV rv = OK;
	for (CK_ULONG i = 0; i < count; i++) {
		CK_ATTRIBUTE *a = &template[i];
		if (a->pValue != NULL && (a->ulValueLen == 0 || a->ulValueLen > 1 << 22))
			return wrong("C_GetAttributeValue", "a buffer of no length, or too long");
		struct value *v = a->type == CNG_BLOB ? NULL : value_of(o, a->type);
		int secret = is_number(o, CLASS, PRIVATE_KEY) && (a->type == PRIVATE_EXPONENT || a->type == VALUE);
		CK_ULONG room = a->ulValueLen;
		a->ulValueLen = UNAVAILABLE;
		if (secret)
			rv = ATTRIBUTE_SENSITIVE;
		else if (v == NULL)
			rv = ATTRIBUTE_TYPE_INVALID;
		else if (a->pValue != NULL && room < v->length)
			rv = BUFFER_TOO_SMALL;
		else {
			a->ulValueLen = v->length;
			if (a->pValue != NULL)
				memcpy(a->pValue, v->bytes, v->length);
		}
	}
	return rv;
}

static CK_RV SetAttributeValue(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, CK_ULONG count) {
	SESSION(handle);
	struct object *o = object_of(s, object);
	if (o == NULL)
		return OBJECT_HANDLE_INVALID;
	char *text;
	CK_RV rv = template_text("C_SetAttributeValue", template, count, &text);
	if (rv != OK)
		return rv;
	note("C_SetAttributeValue%s", text);
	free(text);
	rv = may_write(s, is(o, TOKEN), is(o, PRIVATE));
	for (CK_ULONG i = 0; i < count && rv == OK; i++) {
		CK_ULONG type = template[i].type;
		int usage = type >= ENCRYPT && type <= DERIVE;
		CK_BYTE flag = template[i].ulValueLen == 1 ? *(CK_BYTE *)template[i].pValue : 2;
		int final = type == SENSITIVE && flag == 1 || type == EXTRACTABLE && flag == 0;
		if (type != LABEL && type != ID && !usage && !final && is_number(o, CLASS, PRIVATE_KEY))
			rv = ATTRIBUTE_READ_ONLY;
	}
	if (rv == OK)
		put_all(o, template, count);
	store();
	return rv;
}

static CK_RV FindObjectsInit(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *template, CK_ULONG count) {
	SESSION(handle);
	if (s->searching)
		return OPERATION_ACTIVE;
	char *text;
	CK_RV rv = template_text("C_FindObjectsInit", template, count, &text);
	if (rv != OK)
		return rv;
	note("C_FindObjectsInit%s", text);
	free(text);
	s->searching = 1;
	s->found = malloc(OBJECTS * sizeof *s->found);
	s->count = s->shown = 0;
	for (int i = 0; i < OBJECTS; i++) {
		if (objects[i] == NULL || !seen(s, objects[i]))
			continue;
		CK_ULONG same = 0;
		for (; same < count; same++) {
			struct value *v = value_of(objects[i], template[same].type);
			if (v == NULL || v->length != template[same].ulValueLen || memcmp(v->bytes, template[same].pValue, v->length) != 0)
				break;
		}
		if (same == count)
			s->found[s->count++] = objects[i]->handle;
	}
	return OK;
}

// At most 3 objects at a time, so that a search takes several calls.
static CK_RV FindObjects(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *found, CK_ULONG max, CK_ULONG *count) {
	SESSION(handle);
	if (!s->searching)
		return OPERATION_NOT_INITIALIZED;
	if (max == 0 || max > 1 << 20)
		return wrong("C_FindObjects", "room for no object, or for too many");
	for (*count = 0; *count < 3 && *count < max && s->shown < s->count;)
		found[(*count)++] = s->found[s->shown++];
	return OK;
}

static CK_RV FindObjectsFinal(CK_SESSION_HANDLE handle) {
	SESSION(handle);
	if (!s->searching)
		return OPERATION_NOT_INITIALIZED;
	s->searching = 0;
	free(s->found);
	s->found = NULL;
	return OK;
}

// Windows' cryptography.

struct key { BCRYPT_ALG_HANDLE algorithm; BCRYPT_KEY_HANDLE key; };

static void close_key(struct key *k) {
	if (k->key != NULL)
		BCryptDestroyKey(k->key);
	if (k->algorithm != NULL)
		BCryptCloseAlgorithmProvider(k->algorithm, 0);
}
#define KEY __attribute__((cleanup(close_key))) struct key

static const CK_BYTE p256[] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07}; // OBJECT IDENTIFIER prime256v1

// make makes a pair, with what its halves show.
static CK_RV make(CK_ULONG type, CK_ULONG bits, struct object *public, struct object *private) {
	KEY k = {NULL, NULL};
	CK_BYTE blob[8192];
	ULONG length;
	if (BCryptOpenAlgorithmProvider(&k.algorithm, type == RSA ? L"RSA" : L"ECDSA_P256", NULL, 0) != 0 ||
			BCryptGenerateKeyPair(k.algorithm, &k.key, bits, 0) != 0 || BCryptFinalizeKeyPair(k.key, 0) != 0 ||
			BCryptExportKey(k.key, NULL, type == RSA ? L"RSAFULLPRIVATEBLOB" : L"ECCPRIVATEBLOB", blob, sizeof blob, &length, 0) != 0)
		return GENERAL_ERROR;
	put(private, CNG_BLOB, blob, length);
	if (type == RSA) {
		BCRYPT_RSAKEY_BLOB *head = (BCRYPT_RSAKEY_BLOB *)blob;
		CK_BYTE *exponent = blob + sizeof *head, *modulus = exponent + head->cbPublicExp;
		struct object *halves[] = {public, private};
		for (int i = 0; i < 2; i++) {
			put(halves[i], MODULUS, modulus, head->cbModulus);
			put(halves[i], PUBLIC_EXPONENT, exponent, head->cbPublicExp);
		}
		return OK;
	}
	BCRYPT_ECCKEY_BLOB *head = (BCRYPT_ECCKEY_BLOB *)blob;
	CK_BYTE point[67] = {0x04, 65, 0x04}; // an OCTET STRING that holds an uncompressed point
	if (head->cbKey != 32)
		return GENERAL_ERROR;
	memcpy(point + 3, blob + sizeof *head, 64);
	put(public, EC_POINT, point, sizeof point); // the private half shows none, as many do not
	put(private, EC_PARAMS, p256, sizeof p256);
	return OK;
}

static const CK_ATTRIBUTE *find(const CK_ATTRIBUTE *template, CK_ULONG count, CK_ULONG type) {
	for (CK_ULONG i = 0; i < count; i++)
		if (template[i].type == type)
			return &template[i];
	return NULL;
}

// new_half makes the object of a half. What a template does not say is as PKCS#11 has it.
static struct object *new_half(const struct session *s, CK_ULONG class, CK_ULONG type, const CK_ATTRIBUTE *template, CK_ULONG count) {
	struct object *o = new_object(s);
	if (o == NULL)
		return NULL;
	static const CK_ULONG of_public[] = {ENCRYPT, VERIFY, VERIFY_RECOVER, WRAP, DERIVE};
	static const CK_ULONG of_private[] = {DECRYPT, SIGN, SIGN_RECOVER, UNWRAP, DERIVE, EXTRACTABLE, ALWAYS_AUTHENTICATE};
	for (int i = 0; i < 5 && class == PUBLIC_KEY; i++)
		put_flag(o, of_public[i], 0);
	for (int i = 0; i < 7 && class == PRIVATE_KEY; i++)
		put_flag(o, of_private[i], 0);
	put_flag(o, TOKEN, 0);
	put_flag(o, PRIVATE, class == PRIVATE_KEY);
	if (class == PRIVATE_KEY)
		put_flag(o, SENSITIVE, 1);
	put_flag(o, MODIFIABLE, 1);
	put_flag(o, LOCAL, 1);
	put(o, ID, "", 0);
	put(o, LABEL, "", 0);
	put_number(o, CLASS, class);
	put_number(o, KEY_TYPE, type);
	put_all(o, template, count);
	if (class == PRIVATE_KEY) {
		put_flag(o, ALWAYS_SENSITIVE, is(o, SENSITIVE));
		put_flag(o, NEVER_EXTRACTABLE, !is(o, EXTRACTABLE));
		const CK_ULONG rsa[] = {0x1, 0xD, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45}, ec[] = {0x1041};
		put(o, ALLOWED_MECHANISMS, type == RSA ? rsa : ec, type == RSA ? sizeof rsa : sizeof ec);
	}
	return o;
}

static CK_RV GenerateKeyPair(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public, CK_ULONG public_count,
		CK_ATTRIBUTE *private, CK_ULONG private_count, CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key) {
	SESSION(handle);
	if (mechanism->pParameter != NULL || mechanism->ulParameterLen != 0)
		return wrong("C_GenerateKeyPair", "a parameter");
	char *texts[2];
	CK_RV rv = template_text("C_GenerateKeyPair", public, public_count, &texts[0]);
	if (rv == OK)
		rv = template_text("C_GenerateKeyPair", private, private_count, &texts[1]);
	if (rv != OK)
		return rv;
	note("C_GenerateKeyPair 0x%lX public%s private%s", mechanism->mechanism, texts[0], texts[1]);
	free(texts[0]);
	free(texts[1]);
	CK_ULONG type, bits = 256;
	if (mechanism->mechanism == 0x0) {
		const CK_ATTRIBUTE *size = find(public, public_count, MODULUS_BITS), *exponent = find(public, public_count, PUBLIC_EXPONENT);
		type = RSA;
		if (size == NULL)
			return TEMPLATE_INCOMPLETE;
		bits = *(CK_ULONG *)size->pValue;
		if (exponent != NULL && (exponent->ulValueLen != 3 || memcmp(exponent->pValue, "\1\0\1", 3) != 0) ||
				bits < 1024 || bits > 4096 || bits % 64 != 0)
			return ATTRIBUTE_VALUE_INVALID; // CNG has no other exponent
	} else if (mechanism->mechanism == 0x1040) {
		const CK_ATTRIBUTE *curve = find(public, public_count, EC_PARAMS);
		type = EC;
		if (curve == NULL)
			return TEMPLATE_INCOMPLETE;
		if (curve->ulValueLen != sizeof p256 || memcmp(curve->pValue, p256, sizeof p256) != 0)
			return ATTRIBUTE_VALUE_INVALID;
	} else {
		return MECHANISM_INVALID;
	}
	const CK_ATTRIBUTE *on_token = find(private, private_count, TOKEN);
	rv = may_write(s, on_token != NULL && *(CK_BYTE *)on_token->pValue, 1);
	if (rv != OK)
		return rv;
	struct object *a = new_half(s, PUBLIC_KEY, type, public, public_count);
	struct object *b = new_half(s, PRIVATE_KEY, type, private, private_count);
	rv = a == NULL || b == NULL ? DEVICE_MEMORY : make(type, bits, a, b);
	if (rv != OK) {
		if (a != NULL)
			remove_object(a);
		if (b != NULL)
			remove_object(b);
		return rv;
	}
	*public_key = a->handle;
	*private_key = b->handle;
	store();
	return OK;
}

// What signs: the mechanism, the type of key, the hash that the module computes (NULL: it is given the digest, or the
// whole block) and, of RSASSA-PSS, that it is that.
static const struct signature { CK_ULONG mechanism, type; const wchar_t *hash; int pss; } signatures[] = {
	{0x0001, RSA, NULL, 0}, {0x0040, RSA, L"SHA256", 0}, {0x000D, RSA, NULL, 1}, {0x0043, RSA, L"SHA256", 1}, {0x1041, EC, NULL, 0},
};

// The hashes of RSASSA-PSS, each with its own CKG_MGF1.
static const struct hash { CK_ULONG mechanism, mgf, size; const wchar_t *name; } hashes[] = {
	{0x250, 2, 32, L"SHA256"}, {0x260, 3, 48, L"SHA384"}, {0x270, 4, 64, L"SHA512"},
};

static CK_RV SignInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key) {
	SESSION(handle);
	if (s->signing)
		return OPERATION_ACTIVE;
	struct object *o = object_of(s, key);
	if (o == NULL || !is_number(o, CLASS, PRIVATE_KEY))
		return OBJECT_HANDLE_INVALID;
	if (!is(o, SIGN))
		return KEY_FUNCTION_NOT_PERMITTED;
	for (int i = 0; i < 5; i++) {
		const struct signature *how = &signatures[i];
		if (how->mechanism != mechanism->mechanism)
			continue;
		if (!is_number(o, KEY_TYPE, how->type))
			return KEY_TYPE_INCONSISTENT;
		if (!how->pss && (mechanism->pParameter != NULL || mechanism->ulParameterLen != 0))
			return wrong("C_SignInit", "a parameter where there is none");
		if (how->pss) {
			CK_RSA_PKCS_PSS_PARAMS *params = mechanism->pParameter;
			if (params == NULL || mechanism->ulParameterLen != 12)
				return wrong("C_SignInit", "not CK_RSA_PKCS_PSS_PARAMS, which has 12 bytes");
			int known = 0;
			for (int j = 0; j < 3; j++)
				if (hashes[j].mechanism == params->hashAlg)
					known = hashes[j].mgf == params->mgf && params->sLen == hashes[j].size;
			if (!known)
				return wrong("C_SignInit", "another hash, mask or salt of RSASSA-PSS than JOSE has");
			s->hash = params->hashAlg;
			note("C_SignInit 0x%lX hashAlg=0x%lX mgf=%lu sLen=%lu", how->mechanism, params->hashAlg, params->mgf, params->sLen);
		}
		s->signing = 1;
		s->how = how;
		s->key = key;
		return OK;
	}
	return MECHANISM_INVALID;
}

static CK_RV Sign(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG length, CK_BYTE *signature, CK_ULONG *signature_length) {
	SESSION(handle);
	if (!s->signing)
		return OPERATION_NOT_INITIALIZED;
	struct object *key = object_of(s, s->key);
	if (key == NULL)
		return OBJECT_HANDLE_INVALID;
	struct value *modulus = value_of(key, MODULUS), *blob = value_of(key, CNG_BLOB);
	CK_ULONG size = s->how->type == RSA ? modulus->length : 64, room = *signature_length;
	*signature_length = size;
	if (signature == NULL)
		return OK;
	if (room < size)
		return BUFFER_TOO_SMALL;
	s->signing = 0;
	CK_BYTE digest[64];
	const wchar_t *name = NULL;
	if (s->how->pss)
		for (int i = 0; i < 3; i++)
			if (hashes[i].mechanism == s->hash)
				name = hashes[i].name;
	if (s->how->hash != NULL) {
		BCRYPT_ALG_HANDLE hash;
		if (BCryptOpenAlgorithmProvider(&hash, s->how->hash, NULL, 0) != 0)
			return GENERAL_ERROR;
		NTSTATUS status = BCryptHash(hash, NULL, 0, data, length, digest, 32);
		BCryptCloseAlgorithmProvider(hash, 0);
		if (status != 0)
			return GENERAL_ERROR;
		data = digest;
		length = 32;
		name = s->how->hash;
	}
	if (s->how->type == RSA && !s->how->pss && s->how->hash == NULL && length > size - 11 || s->how->type == EC && length > 32)
		return DATA_LEN_RANGE;
	KEY k = {NULL, NULL};
	BCRYPT_PKCS1_PADDING_INFO pkcs1 = {name};
	BCRYPT_PSS_PADDING_INFO pss = {name, length};
	ULONG written, how = s->how->type == EC ? 0 : s->how->pss ? BCRYPT_PAD_PSS : BCRYPT_PAD_PKCS1;
	void *padding = s->how->type == EC ? NULL : s->how->pss ? (void *)&pss : &pkcs1;
	if (BCryptOpenAlgorithmProvider(&k.algorithm, s->how->type == RSA ? L"RSA" : L"ECDSA_P256", NULL, 0) != 0 ||
			BCryptImportKeyPair(k.algorithm, NULL, s->how->type == RSA ? L"RSAFULLPRIVATEBLOB" : L"ECCPRIVATEBLOB", &k.key,
				blob->bytes, blob->length, 0) != 0 ||
			BCryptSignHash(k.key, padding, data, length, signature, size, &written, how) != 0 || written != size)
		return GENERAL_ERROR;
	return OK;
}

// Two mechanisms that the module does not have: it only notes what it has understood of their parameters.

static CK_RV DecryptInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key) {
	SESSION(handle);
	CK_RSA_PKCS_OAEP_PARAMS *params = mechanism->pParameter;
	if (object_of(s, key) == NULL)
		return OBJECT_HANDLE_INVALID;
	if (mechanism->mechanism != 0x9) // CKM_RSA_PKCS_OAEP
		return MECHANISM_INVALID;
	if (params == NULL || mechanism->ulParameterLen != 24)
		return wrong("C_DecryptInit", "not CK_RSA_PKCS_OAEP_PARAMS, which has 24 bytes");
	note("C_DecryptInit hashAlg=0x%lX mgf=%lu source=%lu data=%p of %lu", params->hashAlg, params->mgf, params->source,
		params->pSourceData, params->ulSourceDataLen);
	return MECHANISM_INVALID;
}

static CK_RV DeriveKey(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base, CK_ATTRIBUTE *template,
		CK_ULONG count, CK_OBJECT_HANDLE *key) {
	SESSION(handle);
	CK_ECDH1_DERIVE_PARAMS *params = mechanism->pParameter;
	if (object_of(s, base) == NULL)
		return OBJECT_HANDLE_INVALID;
	if (mechanism->mechanism != 0x1050) // CKM_ECDH1_DERIVE
		return MECHANISM_INVALID;
	if (params == NULL || mechanism->ulParameterLen != 28)
		return wrong("C_DeriveKey", "not CK_ECDH1_DERIVE_PARAMS, which has 28 bytes");
	if (params->pPublicData == NULL || params->ulPublicDataLen > 1024)
		return wrong("C_DeriveKey", "no point");
	CK_ATTRIBUTE point = {VALUE, params->pPublicData, params->ulPublicDataLen};
	char *texts[2];
	CK_RV rv = template_text("C_DeriveKey", template, count, &texts[0]);
	if (rv == OK)
		rv = template_text("C_DeriveKey", &point, 1, &texts[1]);
	if (rv != OK)
		return rv;
	note("C_DeriveKey kdf=%lu shared=%p of %lu point%s key%s", params->kdf, params->pSharedData, params->ulSharedDataLen,
		texts[1], texts[0]);
	free(texts[0]);
	free(texts[1]);
	return MECHANISM_INVALID;
}

static CK_RV GenerateRandom(CK_SESSION_HANDLE handle, CK_BYTE *random, CK_ULONG length) {
	SESSION(handle);
	return BCryptGenRandom(NULL, random, length, BCRYPT_USE_SYSTEM_PREFERRED_RNG) == 0 ? OK : GENERAL_ERROR;
}

static CK_RV not_supported(void) { return FUNCTION_NOT_SUPPORTED; }

__declspec(dllexport) CK_RV __cdecl C_GetFunctionList(CK_FUNCTION_LIST **list) {
	static const struct { int number; void *function; } own[] = { // in the order of section 6
		{0, Initialize}, {1, Finalize}, {2, GetInfo}, {3, C_GetFunctionList}, {4, GetSlotList}, {5, GetSlotInfo},
		{6, GetTokenInfo}, {7, GetMechanismList}, {8, GetMechanismInfo}, {9, InitToken}, {10, InitPIN}, {11, SetPIN},
		{12, OpenSession}, {13, CloseSession}, {14, CloseAllSessions}, {15, GetSessionInfo}, {18, Login}, {19, Logout},
		{20, CreateObject}, {22, DestroyObject}, {24, GetAttributeValue}, {25, SetAttributeValue}, {26, FindObjectsInit},
		{27, FindObjects}, {28, FindObjectsFinal}, {33, DecryptInit}, {42, SignInit}, {43, Sign},
		{59, GenerateKeyPair}, {62, DeriveKey}, {64, GenerateRandom},
	};
	static CK_FUNCTION_LIST functions = {.version = {2, 40}};
	for (int i = 0; i < 68; i++)
		functions.functions[i] = not_supported;
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		functions.functions[own[i].number] = own[i].function;
	*list = &functions;
	return OK;
}
