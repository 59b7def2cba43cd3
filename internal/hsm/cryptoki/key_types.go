package cryptoki

// Types of secret key that are for one HMAC alone (CKA_KEY_TYPE, PKCS#11 v2.40 and v3.0).
const (
	CKK_MD5_HMAC    uint = 0x27
	CKK_SHA_1_HMAC  uint = 0x28
	CKK_SHA256_HMAC uint = 0x2B
	CKK_SHA384_HMAC uint = 0x2C
	CKK_SHA512_HMAC uint = 0x2D
	CKK_SHA224_HMAC uint = 0x2E
)

// CKM_RSA_X9_31_KEY_PAIR_GEN makes RSA pairs by ANSI X9.31 (PKCS#11 v2.40, 2.1.3).
const CKM_RSA_X9_31_KEY_PAIR_GEN MechanismType = 0x0A
