// The calls, as Go makes them: a function of C for each function of the list, since Go cannot call a pointer.
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include "platform_windows.h"
#else
#include "platform_unix.h"
#endif

// The order of the list: one function of each row that the specification has, by its number.
#define IS_NUMBER(number, function) \
	_Static_assert(offsetof(CK_FUNCTION_LIST, function) == FIRST_FUNCTION + (number) * sizeof(void *), #function)
IS_NUMBER(0, C_Initialize);
IS_NUMBER(8, C_GetMechanismInfo);
IS_NUMBER(9, C_InitToken);
IS_NUMBER(11, C_SetPIN);
IS_NUMBER(12, C_OpenSession);
IS_NUMBER(18, C_Login);
IS_NUMBER(19, C_Logout);
IS_NUMBER(20, C_CreateObject);
IS_NUMBER(22, C_DestroyObject);
IS_NUMBER(24, C_GetAttributeValue);
IS_NUMBER(28, C_FindObjectsFinal);
IS_NUMBER(30, C_Encrypt);
IS_NUMBER(34, C_Decrypt);
IS_NUMBER(43, C_Sign);
IS_NUMBER(49, C_Verify);
IS_NUMBER(58, C_GenerateKey);
IS_NUMBER(59, C_GenerateKeyPair);
IS_NUMBER(62, C_DeriveKey);
IS_NUMBER(64, C_GenerateRandom);
IS_NUMBER(67, C_WaitForSlotEvent);

// An attribute and a mechanism are three members of the same kinds, and Go writes both in one way. Go does not see the
// middle one where it is not aligned, so it goes by where it is.
enum { MIDDLE = offsetof(CK_ATTRIBUTE, pValue), LAST = offsetof(CK_ATTRIBUTE, ulValueLen) };
_Static_assert(MIDDLE == offsetof(CK_MECHANISM, pParameter), "CK_MECHANISM.pParameter");
_Static_assert(LAST == offsetof(CK_MECHANISM, ulParameterLen), "CK_MECHANISM.ulParameterLen");
_Static_assert(sizeof(CK_ATTRIBUTE) == sizeof(CK_MECHANISM), "the size of CK_MECHANISM");

// ck_take_list takes the module's list of functions, and gives what the module answered. C_GetInterface is asked for
// the default interface alone: some modules do not fill in the count of C_GetInterfaceList. C_GetFunctionList is called
// at most once: some modules give a new instance of themselves each time, which nobody has initialised.
static CK_RV ck_take_list(CK_C_GetInterface getInterface, CK_C_GetFunctionList getList, CK_FUNCTION_LIST **list) {
	*list = NULL;
	if (getInterface != NULL) {
		CK_INTERFACE *answer = NULL;
		CK_RV rv = getInterface(NULL, NULL, &answer, 0);
		if (rv == CKR_OK && answer != NULL && answer->pInterfaceName != NULL &&
				strncmp((char *)answer->pInterfaceName, "PKCS 11", sizeof "PKCS 11") == 0)
			*list = answer->pFunctionList;
		if (*list != NULL && (*list)->version.major != 2 && (*list)->version.major != 3)
			*list = NULL;
		if (*list != NULL || getList == NULL)
			return rv;
	}
	return getList(list);
}

// A function that a list lacks is one that the module does not support.
#define CALL(function, ...) (list->function == NULL ? CKR_FUNCTION_NOT_SUPPORTED : list->function(__VA_ARGS__))

static CK_RV ck_Initialize(CK_FUNCTION_LIST *list, void *parameters) {
	CK_C_INITIALIZE_ARGS args = {.flags = 2 /* CKF_OS_LOCKING_OK */, .pReserved = parameters};
	return CALL(C_Initialize, &args);
}

static CK_RV ck_Finalize(CK_FUNCTION_LIST *list) { return CALL(C_Finalize, NULL); }

static CK_RV ck_GetInfo(CK_FUNCTION_LIST *list, void *info) { return CALL(C_GetInfo, info); }

static CK_RV ck_GetSlotList(CK_FUNCTION_LIST *list, CK_BYTE present, CK_ULONG *slots, CK_ULONG *count) {
	return CALL(C_GetSlotList, present, slots, count);
}

static CK_RV ck_GetSlotInfo(CK_FUNCTION_LIST *list, CK_ULONG slot, void *info) {
	return CALL(C_GetSlotInfo, slot, info);
}

static CK_RV ck_GetTokenInfo(CK_FUNCTION_LIST *list, CK_ULONG slot, void *info) {
	return CALL(C_GetTokenInfo, slot, info);
}

static CK_RV ck_GetMechanismList(CK_FUNCTION_LIST *list, CK_ULONG slot, CK_ULONG *types, CK_ULONG *count) {
	return CALL(C_GetMechanismList, slot, types, count);
}

static CK_RV ck_GetMechanismInfo(CK_FUNCTION_LIST *list, CK_ULONG slot, CK_ULONG type, void *info) {
	return CALL(C_GetMechanismInfo, slot, type, info);
}

static CK_RV ck_InitToken(CK_FUNCTION_LIST *list, CK_ULONG slot, void *pin, CK_ULONG length, void *label) {
	return CALL(C_InitToken, slot, pin, length, label);
}

static CK_RV ck_InitPIN(CK_FUNCTION_LIST *list, CK_ULONG session, void *pin, CK_ULONG length) {
	return CALL(C_InitPIN, session, pin, length);
}

static CK_RV ck_SetPIN(CK_FUNCTION_LIST *list, CK_ULONG session, void *old, CK_ULONG oldLength, void *pin,
		CK_ULONG length) {
	return CALL(C_SetPIN, session, old, oldLength, pin, length);
}

static CK_RV ck_OpenSession(CK_FUNCTION_LIST *list, CK_ULONG slot, CK_ULONG flags, CK_ULONG *session) {
	return CALL(C_OpenSession, slot, flags, NULL, NULL, session);
}

static CK_RV ck_CloseSession(CK_FUNCTION_LIST *list, CK_ULONG session) { return CALL(C_CloseSession, session); }

static CK_RV ck_CloseAllSessions(CK_FUNCTION_LIST *list, CK_ULONG slot) { return CALL(C_CloseAllSessions, slot); }

static CK_RV ck_GetSessionInfo(CK_FUNCTION_LIST *list, CK_ULONG session, void *info) {
	return CALL(C_GetSessionInfo, session, info);
}

static CK_RV ck_Login(CK_FUNCTION_LIST *list, CK_ULONG session, CK_ULONG user, void *pin, CK_ULONG length) {
	return CALL(C_Login, session, user, pin, length);
}

static CK_RV ck_Logout(CK_FUNCTION_LIST *list, CK_ULONG session) { return CALL(C_Logout, session); }

static CK_RV ck_CreateObject(CK_FUNCTION_LIST *list, CK_ULONG session, void *template, CK_ULONG count,
		CK_ULONG *object) {
	return CALL(C_CreateObject, session, template, count, object);
}

static CK_RV ck_DestroyObject(CK_FUNCTION_LIST *list, CK_ULONG session, CK_ULONG object) {
	return CALL(C_DestroyObject, session, object);
}

static CK_RV ck_GetAttributeValue(CK_FUNCTION_LIST *list, CK_ULONG session, CK_ULONG object, void *template,
		CK_ULONG count) {
	return CALL(C_GetAttributeValue, session, object, template, count);
}

static CK_RV ck_SetAttributeValue(CK_FUNCTION_LIST *list, CK_ULONG session, CK_ULONG object, void *template,
		CK_ULONG count) {
	return CALL(C_SetAttributeValue, session, object, template, count);
}

static CK_RV ck_FindObjectsInit(CK_FUNCTION_LIST *list, CK_ULONG session, void *template, CK_ULONG count) {
	return CALL(C_FindObjectsInit, session, template, count);
}

static CK_RV ck_FindObjects(CK_FUNCTION_LIST *list, CK_ULONG session, CK_ULONG *objects, CK_ULONG max,
		CK_ULONG *count) {
	return CALL(C_FindObjects, session, objects, max, count);
}

static CK_RV ck_FindObjectsFinal(CK_FUNCTION_LIST *list, CK_ULONG session) { return CALL(C_FindObjectsFinal, session); }

static CK_RV ck_EncryptInit(CK_FUNCTION_LIST *list, CK_ULONG session, void *mechanism, CK_ULONG key) {
	return CALL(C_EncryptInit, session, mechanism, key);
}

static CK_RV ck_Encrypt(CK_FUNCTION_LIST *list, CK_ULONG session, void *data, CK_ULONG size, void *out,
		CK_ULONG *length) {
	return CALL(C_Encrypt, session, data, size, out, length);
}

static CK_RV ck_DecryptInit(CK_FUNCTION_LIST *list, CK_ULONG session, void *mechanism, CK_ULONG key) {
	return CALL(C_DecryptInit, session, mechanism, key);
}

static CK_RV ck_Decrypt(CK_FUNCTION_LIST *list, CK_ULONG session, void *data, CK_ULONG size, void *out,
		CK_ULONG *length) {
	return CALL(C_Decrypt, session, data, size, out, length);
}

static CK_RV ck_SignInit(CK_FUNCTION_LIST *list, CK_ULONG session, void *mechanism, CK_ULONG key) {
	return CALL(C_SignInit, session, mechanism, key);
}

static CK_RV ck_Sign(CK_FUNCTION_LIST *list, CK_ULONG session, void *data, CK_ULONG size, void *out,
		CK_ULONG *length) {
	return CALL(C_Sign, session, data, size, out, length);
}

static CK_RV ck_VerifyInit(CK_FUNCTION_LIST *list, CK_ULONG session, void *mechanism, CK_ULONG key) {
	return CALL(C_VerifyInit, session, mechanism, key);
}

static CK_RV ck_Verify(CK_FUNCTION_LIST *list, CK_ULONG session, void *data, CK_ULONG size, void *signature,
		CK_ULONG length) {
	return CALL(C_Verify, session, data, size, signature, length);
}

static CK_RV ck_GenerateKey(CK_FUNCTION_LIST *list, CK_ULONG session, void *mechanism, void *template, CK_ULONG count,
		CK_ULONG *key) {
	return CALL(C_GenerateKey, session, mechanism, template, count, key);
}

static CK_RV ck_GenerateKeyPair(CK_FUNCTION_LIST *list, CK_ULONG session, void *mechanism, void *public,
		CK_ULONG publicCount, void *private, CK_ULONG privateCount, CK_ULONG *publicKey, CK_ULONG *privateKey) {
	return CALL(C_GenerateKeyPair, session, mechanism, public, publicCount, private, privateCount, publicKey, privateKey);
}

static CK_RV ck_DeriveKey(CK_FUNCTION_LIST *list, CK_ULONG session, void *mechanism, CK_ULONG base, void *template,
		CK_ULONG count, CK_ULONG *key) {
	return CALL(C_DeriveKey, session, mechanism, base, template, count, key);
}

static CK_RV ck_GenerateRandom(CK_FUNCTION_LIST *list, CK_ULONG session, void *random, CK_ULONG size) {
	return CALL(C_GenerateRandom, session, random, size);
}

static void ck_put_OAEP(void *at, CK_ULONG hash, CK_ULONG mgf, CK_ULONG source) {
	CK_RSA_PKCS_OAEP_PARAMS params = {.hashAlg = hash, .mgf = mgf, .source = source};
	memcpy(at, &params, sizeof params);
}

static void ck_put_PSS(void *at, CK_ULONG hash, CK_ULONG mgf, CK_ULONG salt) {
	CK_RSA_PKCS_PSS_PARAMS params = {.hashAlg = hash, .mgf = mgf, .sLen = salt};
	memcpy(at, &params, sizeof params);
}

static void ck_put_ECDH1(void *at, CK_ULONG kdf, void *point, CK_ULONG length) {
	CK_ECDH1_DERIVE_PARAMS params = {.kdf = kdf, .ulPublicDataLen = length, .pPublicData = point};
	memcpy(at, &params, sizeof params);
}
