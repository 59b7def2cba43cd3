// Windows: CK_ULONG has 4 bytes, and structures are packed (PKCS#11 v2.40, section 2.1). The compiler checks that.
#pragma pack(push, 1)
#include "structures.h"
#pragma pack(pop)

#define IS_AT(structure, member, pointers, bytes) \
	_Static_assert(offsetof(structure, member) == (pointers) * sizeof(void *) + (bytes), #structure "." #member)
#define HAS_SIZE(structure, pointers, bytes) \
	_Static_assert(sizeof(structure) == (pointers) * sizeof(void *) + (bytes), "the size of " #structure)

HAS_SIZE(CK_ULONG, 0, 4);
IS_AT(CK_INFO, libraryDescription, 0, 38);
HAS_SIZE(CK_INFO, 0, 72);
HAS_SIZE(CK_SLOT_INFO, 0, 104);
IS_AT(CK_TOKEN_INFO, flags, 0, 96);
IS_AT(CK_TOKEN_INFO, ulMaxPinLen, 0, 116);
HAS_SIZE(CK_TOKEN_INFO, 0, 160);
IS_AT(CK_SESSION_INFO, state, 0, 4);
HAS_SIZE(CK_SESSION_INFO, 0, 16);
HAS_SIZE(CK_MECHANISM_INFO, 0, 12);
IS_AT(CK_ATTRIBUTE, pValue, 0, 4);
IS_AT(CK_ATTRIBUTE, ulValueLen, 1, 4);
HAS_SIZE(CK_ATTRIBUTE, 1, 8);
IS_AT(CK_RSA_PKCS_OAEP_PARAMS, source, 0, 8);
HAS_SIZE(CK_RSA_PKCS_OAEP_PARAMS, 1, 16);
HAS_SIZE(CK_ECDH1_DERIVE_PARAMS, 2, 12);
IS_AT(CK_C_INITIALIZE_ARGS, pReserved, 4, 4);
HAS_SIZE(CK_C_INITIALIZE_ARGS, 6, 4);
IS_AT(CK_INTERFACE, pFunctionList, 1, 0);
HAS_SIZE(CK_INTERFACE, 2, 4);
#define FIRST_FUNCTION sizeof(CK_VERSION)
