// The structures of PKCS#11 v2.40, as far as they are used here. A platform's header includes this one, and packs the
// structures where the platform wants that.

typedef unsigned char CK_BYTE;
typedef unsigned long CK_ULONG;
typedef CK_ULONG CK_RV;

enum { CKR_OK = 0x0, CKR_FUNCTION_NOT_SUPPORTED = 0x54, CKR_BUFFER_TOO_SMALL = 0x150 };

typedef struct { CK_BYTE major, minor; } CK_VERSION;

typedef struct {
	CK_VERSION cryptokiVersion;
	CK_BYTE manufacturerID[32];
	CK_ULONG flags;
	CK_BYTE libraryDescription[32];
	CK_VERSION libraryVersion;
} CK_INFO;

typedef struct {
	CK_BYTE slotDescription[64];
	CK_BYTE manufacturerID[32];
	CK_ULONG flags;
	CK_VERSION hardwareVersion, firmwareVersion;
} CK_SLOT_INFO;

typedef struct {
	CK_BYTE label[32];
	CK_BYTE manufacturerID[32];
	CK_BYTE model[16];
	CK_BYTE serialNumber[16];
	CK_ULONG flags;
	CK_ULONG ulMaxSessionCount, ulSessionCount, ulMaxRwSessionCount, ulRwSessionCount;
	CK_ULONG ulMaxPinLen, ulMinPinLen;
	CK_ULONG ulTotalPublicMemory, ulFreePublicMemory, ulTotalPrivateMemory, ulFreePrivateMemory;
	CK_VERSION hardwareVersion, firmwareVersion;
	CK_BYTE utcTime[16];
} CK_TOKEN_INFO;

typedef struct { CK_ULONG slotID, state, flags, ulDeviceError; } CK_SESSION_INFO;

typedef struct { CK_ULONG ulMinKeySize, ulMaxKeySize, flags; } CK_MECHANISM_INFO;

typedef struct { CK_ULONG type; void *pValue; CK_ULONG ulValueLen; } CK_ATTRIBUTE;

typedef struct { CK_ULONG mechanism; void *pParameter; CK_ULONG ulParameterLen; } CK_MECHANISM;

typedef struct {
	CK_ULONG hashAlg, mgf, source;
	void *pSourceData;
	CK_ULONG ulSourceDataLen;
} CK_RSA_PKCS_OAEP_PARAMS;

typedef struct { CK_ULONG hashAlg, mgf, sLen; } CK_RSA_PKCS_PSS_PARAMS;

typedef struct {
	CK_ULONG kdf;
	CK_ULONG ulSharedDataLen;
	void *pSharedData;
	CK_ULONG ulPublicDataLen;
	void *pPublicData;
} CK_ECDH1_DERIVE_PARAMS;

// CK_C_INITIALIZE_ARGS with one member more than PKCS#11 has. In NSS's own headers the string for the module stands
// where all others have pReserved, and pReserved, which must be NULL, stands behind it. Others do not look so far.
typedef struct {
	void *CreateMutex, *DestroyMutex, *LockMutex, *UnlockMutex;
	CK_ULONG flags;
	void *pReserved;
	void *behind;
} CK_C_INITIALIZE_ARGS;

// CK_FUNCTION_LIST: its version, then the functions in the order of section 6. Those of versions 3.0 and 3.2 begin the
// same.
typedef CK_RV (*CK_UNUSED)(void);
typedef struct {
	CK_VERSION version;
	CK_RV (*C_Initialize)(void *args);
	CK_RV (*C_Finalize)(void *reserved);
	CK_RV (*C_GetInfo)(CK_INFO *info);
	CK_UNUSED C_GetFunctionList;
	CK_RV (*C_GetSlotList)(CK_BYTE present, CK_ULONG *slots, CK_ULONG *count);
	CK_RV (*C_GetSlotInfo)(CK_ULONG slot, CK_SLOT_INFO *info);
	CK_RV (*C_GetTokenInfo)(CK_ULONG slot, CK_TOKEN_INFO *info);
	CK_RV (*C_GetMechanismList)(CK_ULONG slot, CK_ULONG *types, CK_ULONG *count);
	CK_RV (*C_GetMechanismInfo)(CK_ULONG slot, CK_ULONG type, CK_MECHANISM_INFO *info);
	CK_RV (*C_InitToken)(CK_ULONG slot, CK_BYTE *pin, CK_ULONG length, CK_BYTE *label);
	CK_RV (*C_InitPIN)(CK_ULONG session, CK_BYTE *pin, CK_ULONG length);
	CK_RV (*C_SetPIN)(CK_ULONG session, CK_BYTE *old, CK_ULONG oldLength, CK_BYTE *pin, CK_ULONG length);
	CK_RV (*C_OpenSession)(CK_ULONG slot, CK_ULONG flags, void *application, void *notify, CK_ULONG *session);
	CK_RV (*C_CloseSession)(CK_ULONG session);
	CK_RV (*C_CloseAllSessions)(CK_ULONG slot);
	CK_RV (*C_GetSessionInfo)(CK_ULONG session, CK_SESSION_INFO *info);
	CK_UNUSED C_GetOperationState, C_SetOperationState;
	CK_RV (*C_Login)(CK_ULONG session, CK_ULONG user, CK_BYTE *pin, CK_ULONG length);
	CK_RV (*C_Logout)(CK_ULONG session);
	CK_RV (*C_CreateObject)(CK_ULONG session, CK_ATTRIBUTE *template, CK_ULONG count, CK_ULONG *object);
	CK_UNUSED C_CopyObject;
	CK_RV (*C_DestroyObject)(CK_ULONG session, CK_ULONG object);
	CK_UNUSED C_GetObjectSize;
	CK_RV (*C_GetAttributeValue)(CK_ULONG session, CK_ULONG object, CK_ATTRIBUTE *template, CK_ULONG count);
	CK_RV (*C_SetAttributeValue)(CK_ULONG session, CK_ULONG object, CK_ATTRIBUTE *template, CK_ULONG count);
	CK_RV (*C_FindObjectsInit)(CK_ULONG session, CK_ATTRIBUTE *template, CK_ULONG count);
	CK_RV (*C_FindObjects)(CK_ULONG session, CK_ULONG *objects, CK_ULONG max, CK_ULONG *count);
	CK_RV (*C_FindObjectsFinal)(CK_ULONG session);
	CK_RV (*C_EncryptInit)(CK_ULONG session, CK_MECHANISM *mechanism, CK_ULONG key);
	CK_RV (*C_Encrypt)(CK_ULONG session, CK_BYTE *data, CK_ULONG size, CK_BYTE *out, CK_ULONG *length);
	CK_UNUSED C_EncryptUpdate, C_EncryptFinal;
	CK_RV (*C_DecryptInit)(CK_ULONG session, CK_MECHANISM *mechanism, CK_ULONG key);
	CK_RV (*C_Decrypt)(CK_ULONG session, CK_BYTE *data, CK_ULONG size, CK_BYTE *out, CK_ULONG *length);
	CK_UNUSED C_DecryptUpdate, C_DecryptFinal;
	CK_UNUSED C_DigestInit, C_Digest, C_DigestUpdate, C_DigestKey, C_DigestFinal;
	CK_RV (*C_SignInit)(CK_ULONG session, CK_MECHANISM *mechanism, CK_ULONG key);
	CK_RV (*C_Sign)(CK_ULONG session, CK_BYTE *data, CK_ULONG size, CK_BYTE *out, CK_ULONG *length);
	CK_UNUSED C_SignUpdate, C_SignFinal, C_SignRecoverInit, C_SignRecover;
	CK_RV (*C_VerifyInit)(CK_ULONG session, CK_MECHANISM *mechanism, CK_ULONG key);
	CK_RV (*C_Verify)(CK_ULONG session, CK_BYTE *data, CK_ULONG size, CK_BYTE *signature, CK_ULONG length);
	CK_UNUSED C_VerifyUpdate, C_VerifyFinal, C_VerifyRecoverInit, C_VerifyRecover;
	CK_UNUSED C_DigestEncryptUpdate, C_DecryptDigestUpdate, C_SignEncryptUpdate, C_DecryptVerifyUpdate;
	CK_RV (*C_GenerateKey)(CK_ULONG session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *template, CK_ULONG count,
		CK_ULONG *key);
	CK_RV (*C_GenerateKeyPair)(CK_ULONG session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public, CK_ULONG publicCount,
		CK_ATTRIBUTE *private, CK_ULONG privateCount, CK_ULONG *publicKey, CK_ULONG *privateKey);
	CK_UNUSED C_WrapKey, C_UnwrapKey;
	CK_RV (*C_DeriveKey)(CK_ULONG session, CK_MECHANISM *mechanism, CK_ULONG base, CK_ATTRIBUTE *template,
		CK_ULONG count, CK_ULONG *key);
	CK_UNUSED C_SeedRandom;
	CK_RV (*C_GenerateRandom)(CK_ULONG session, CK_BYTE *random, CK_ULONG size);
	CK_UNUSED C_GetFunctionStatus, C_CancelFunction, C_WaitForSlotEvent;
} CK_FUNCTION_LIST;

// CK_INTERFACE of PKCS#11 v3.0, section 3.7. Its list begins with a version, as CK_FUNCTION_LIST does.
typedef struct { CK_BYTE *pInterfaceName; void *pFunctionList; CK_ULONG flags; } CK_INTERFACE;

typedef CK_RV (*CK_C_GetFunctionList)(CK_FUNCTION_LIST **list);
typedef CK_RV (*CK_C_GetInterface)(CK_BYTE *name, CK_VERSION *version, CK_INTERFACE **answer, CK_ULONG flags);
