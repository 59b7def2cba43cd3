// Linux, macOS and the other Unixes: CK_ULONG is as wide as a pointer, and structures are as the compiler lays them
// out. The compiler checks that.
#include "structures.h"

#define IS_AT(structure, member, words, bytes) \
	_Static_assert(offsetof(structure, member) == (words) * sizeof(void *) + (bytes), #structure "." #member)
#define HAS_SIZE(structure, words, bytes) \
	_Static_assert(sizeof(structure) == (words) * sizeof(void *) + (bytes), "the size of " #structure)

HAS_SIZE(CK_ULONG, 1, 0);
IS_AT(CK_INFO, libraryDescription, 1, 34 + sizeof(void *) - 2); // the flags are aligned
IS_AT(CK_SLOT_INFO, flags, 0, 96);
HAS_SIZE(CK_SLOT_INFO, 1, 96 + (sizeof(void *) == 8 ? 8 : 4));
IS_AT(CK_TOKEN_INFO, flags, 0, 96);
IS_AT(CK_TOKEN_INFO, ulMaxPinLen, 5, 96);
IS_AT(CK_TOKEN_INFO, ulFreePrivateMemory, 10, 96);
IS_AT(CK_TOKEN_INFO, utcTime, 11, 100);
HAS_SIZE(CK_TOKEN_INFO, 11, 96 + (sizeof(void *) == 8 ? 24 : 20));
IS_AT(CK_SESSION_INFO, state, 1, 0);
HAS_SIZE(CK_SESSION_INFO, 4, 0);
HAS_SIZE(CK_MECHANISM_INFO, 3, 0);
IS_AT(CK_ATTRIBUTE, pValue, 1, 0);
IS_AT(CK_ATTRIBUTE, ulValueLen, 2, 0);
HAS_SIZE(CK_ATTRIBUTE, 3, 0);
IS_AT(CK_RSA_PKCS_OAEP_PARAMS, source, 2, 0);
HAS_SIZE(CK_RSA_PKCS_OAEP_PARAMS, 5, 0);
HAS_SIZE(CK_ECDH1_DERIVE_PARAMS, 5, 0);
IS_AT(CK_C_INITIALIZE_ARGS, pReserved, 5, 0);
HAS_SIZE(CK_C_INITIALIZE_ARGS, 7, 0);
IS_AT(CK_INTERFACE, pFunctionList, 1, 0);
HAS_SIZE(CK_INTERFACE, 3, 0);
#define FIRST_FUNCTION sizeof(void *)
