package cryptoki

import (
	"context"
	"strings"

	"github.com/miekg/pkcs11"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki/internal/ck"
)

// Flags of a slot (CK_SLOT_INFO, PKCS#11 v2.40, section 3.2).
const (
	CKF_TOKEN_PRESENT    uint = pkcs11.CKF_TOKEN_PRESENT
	CKF_REMOVABLE_DEVICE uint = pkcs11.CKF_REMOVABLE_DEVICE
	CKF_HW_SLOT          uint = pkcs11.CKF_HW_SLOT
)

// Flags of a token (CK_TOKEN_INFO, the same section).
const (
	CKF_RNG                           uint = pkcs11.CKF_RNG
	CKF_WRITE_PROTECTED               uint = pkcs11.CKF_WRITE_PROTECTED
	CKF_LOGIN_REQUIRED                uint = pkcs11.CKF_LOGIN_REQUIRED
	CKF_USER_PIN_INITIALIZED          uint = pkcs11.CKF_USER_PIN_INITIALIZED
	CKF_RESTORE_KEY_NOT_NEEDED        uint = pkcs11.CKF_RESTORE_KEY_NOT_NEEDED
	CKF_CLOCK_ON_TOKEN                uint = pkcs11.CKF_CLOCK_ON_TOKEN
	CKF_PROTECTED_AUTHENTICATION_PATH uint = pkcs11.CKF_PROTECTED_AUTHENTICATION_PATH
	CKF_DUAL_CRYPTO_OPERATIONS        uint = pkcs11.CKF_DUAL_CRYPTO_OPERATIONS
	CKF_TOKEN_INITIALIZED             uint = pkcs11.CKF_TOKEN_INITIALIZED
	CKF_SECONDARY_AUTHENTICATION      uint = pkcs11.CKF_SECONDARY_AUTHENTICATION
	CKF_USER_PIN_COUNT_LOW            uint = pkcs11.CKF_USER_PIN_COUNT_LOW
	CKF_USER_PIN_FINAL_TRY            uint = pkcs11.CKF_USER_PIN_FINAL_TRY
	CKF_USER_PIN_LOCKED               uint = pkcs11.CKF_USER_PIN_LOCKED
	CKF_USER_PIN_TO_BE_CHANGED        uint = pkcs11.CKF_USER_PIN_TO_BE_CHANGED
	CKF_SO_PIN_COUNT_LOW              uint = pkcs11.CKF_SO_PIN_COUNT_LOW
	CKF_SO_PIN_FINAL_TRY              uint = pkcs11.CKF_SO_PIN_FINAL_TRY
	CKF_SO_PIN_LOCKED                 uint = pkcs11.CKF_SO_PIN_LOCKED
	CKF_SO_PIN_TO_BE_CHANGED          uint = pkcs11.CKF_SO_PIN_TO_BE_CHANGED
	CKF_ERROR_STATE                   uint = pkcs11.CKF_ERROR_STATE
)

// Flags of a mechanism (CK_MECHANISM_INFO, PKCS#11 v3.0, section 3.5, and the page of elliptic curves).
const (
	CKF_HW                uint = pkcs11.CKF_HW
	CKF_MESSAGE_ENCRYPT   uint = 0x2
	CKF_MESSAGE_DECRYPT   uint = 0x4
	CKF_MESSAGE_SIGN      uint = 0x8
	CKF_MESSAGE_VERIFY    uint = 0x10
	CKF_MULTI_MESSAGE     uint = 0x20
	CKF_FIND_OBJECTS      uint = 0x40
	CKF_ENCRYPT           uint = pkcs11.CKF_ENCRYPT
	CKF_DECRYPT           uint = pkcs11.CKF_DECRYPT
	CKF_DIGEST            uint = pkcs11.CKF_DIGEST
	CKF_SIGN              uint = pkcs11.CKF_SIGN
	CKF_SIGN_RECOVER      uint = pkcs11.CKF_SIGN_RECOVER
	CKF_VERIFY            uint = pkcs11.CKF_VERIFY
	CKF_VERIFY_RECOVER    uint = pkcs11.CKF_VERIFY_RECOVER
	CKF_GENERATE          uint = pkcs11.CKF_GENERATE
	CKF_GENERATE_KEY_PAIR uint = pkcs11.CKF_GENERATE_KEY_PAIR
	CKF_WRAP              uint = pkcs11.CKF_WRAP
	CKF_UNWRAP            uint = pkcs11.CKF_UNWRAP
	CKF_DERIVE            uint = pkcs11.CKF_DERIVE
	CKF_EC_F_P            uint = pkcs11.CKF_EC_F_P
	CKF_EC_F_2M           uint = pkcs11.CKF_EC_F_2M
	CKF_EC_ECPARAMETERS   uint = pkcs11.CKF_EC_ECPARAMETERS
	CKF_EC_OID            uint = pkcs11.CKF_EC_NAMEDCURVE // its older name
	CKF_EC_UNCOMPRESS     uint = pkcs11.CKF_EC_UNCOMPRESS
	CKF_EC_COMPRESS       uint = pkcs11.CKF_EC_COMPRESS
	CKF_EC_CURVENAME      uint = 0x4000000
	CKF_EXTENSION         uint = pkcs11.CKF_EXTENSION
)

// Unknown is CK_UNAVAILABLE_INFORMATION: a number that the token does not tell.
const Unknown = ck.Unknown

// TokenInfo is CK_TOKEN_INFO without its padding. Texts are any bytes, UTF-8 or not.
type TokenInfo struct {
	Slot                                       uint // the slot's ID, which is no identity: it may change
	Label, Serial, Model, Manufacturer         string
	Flags                                      uint // CKF_...
	MaxSessions, Sessions                      uint // 0: no limit; Unknown
	MaxRWSessions, RWSessions                  uint // 0: no limit; Unknown
	MinPINLength, MaxPINLength                 uint // bytes
	TotalPublicMemory, FreePublicMemory        uint // bytes; Unknown
	TotalPrivateMemory, FreePrivateMemory      uint // bytes; Unknown
	HardwareVersionMajor, HardwareVersionMinor byte
	FirmwareVersionMajor, FirmwareVersionMinor byte
}

// Has says whether all of the flags are set.
func (i TokenInfo) Has(flags uint) bool { return i.Flags&flags == flags }

// Info describes the module itself (CK_INFO).
type Info struct {
	Manufacturer, Description string
	Version                   Version // of the library, as it tells it
}

// Version is CK_VERSION: two numbers, such as 3 and 132.
type Version struct{ Major, Minor byte }

// Before says that the version is an earlier one than v.
func (w Version) Before(v Version) bool {
	return w.Major < v.Major || w.Major == v.Major && w.Minor < v.Minor
}

// GetInfo describes the module.
func (m *Module) GetInfo(ctx context.Context) (Info, error) {
	return invoke(ctx, m, &Call{Function: "C_GetInfo"}, func() (Info, error) {
		i, err := m.ck.GetInfo()
		return Info{
			Manufacturer: unpadded(i.Manufacturer), Description: unpadded(i.Description), Version: Version(i.Version),
		}, err
	})
}

// unpadded is a text without the zero bytes that some modules pad it with.
func unpadded(text string) string { return strings.TrimRight(text, " \x00") }

// cut is a text up to the zero byte by which some modules end it, as C does.
func cut(text string) string {
	text, _, _ = strings.Cut(text, "\x00")
	return strings.TrimRight(text, " ")
}

// GetSlotList gives the IDs of the slots that hold a token, or of all.
func (m *Module) GetSlotList(ctx context.Context, tokenPresent bool) ([]uint, error) {
	return invoke(ctx, m, &Call{Function: "C_GetSlotList"}, func() ([]uint, error) { return m.ck.GetSlotList(tokenPresent) })
}

// SlotInfo is CK_SLOT_INFO without its padding.
type SlotInfo struct {
	Description, Manufacturer string
	Flags                     uint // CKF_TOKEN_PRESENT, ...
}

// GetSlotInfo describes a slot, with or without a token.
func (m *Module) GetSlotInfo(ctx context.Context, slot uint) (SlotInfo, error) {
	return invoke(ctx, m, &Call{Function: "C_GetSlotInfo"}, func() (SlotInfo, error) {
		i, err := m.ck.GetSlotInfo(slot)
		return SlotInfo{Description: unpadded(i.Description), Manufacturer: unpadded(i.Manufacturer), Flags: i.Flags}, err
	})
}

// GetTokenInfo describes the token in a slot.
func (m *Module) GetTokenInfo(ctx context.Context, slot uint) (TokenInfo, error) {
	return invoke(ctx, m, &Call{Function: "C_GetTokenInfo"}, func() (TokenInfo, error) {
		i, err := m.ck.GetTokenInfo(slot)
		return TokenInfo{
			Slot: slot, Label: i.Label, Serial: cut(i.Serial), Model: cut(i.Model), Manufacturer: cut(i.Manufacturer), Flags: i.Flags,
			MaxSessions: i.MaxSessions, Sessions: i.Sessions, MaxRWSessions: i.MaxRWSessions, RWSessions: i.RWSessions,
			MinPINLength: i.MinPINLength, MaxPINLength: i.MaxPINLength,
			TotalPublicMemory: i.TotalPublicMemory, FreePublicMemory: i.FreePublicMemory,
			TotalPrivateMemory: i.TotalPrivateMemory, FreePrivateMemory: i.FreePrivateMemory,
			HardwareVersionMajor: i.Hardware.Major, HardwareVersionMinor: i.Hardware.Minor,
			FirmwareVersionMajor: i.Firmware.Major, FirmwareVersionMinor: i.Firmware.Minor,
		}, err
	})
}

// InitToken initialises the token in a slot: its objects and PINs are gone, it has that label, and that PIN is its
// security officer's. A token that is initialised already wants the PIN that its security officer has; but some take
// any. The label has at most [MaxLabel] bytes. No session may be open on the token.
func (m *Module) InitToken(ctx context.Context, slot uint, pin []byte, label string) error {
	var padded [MaxLabel]byte
	for i := copy(padded[:], label); i < len(padded); i++ {
		padded[i] = ' '
	}
	return run(ctx, m, &Call{Function: "C_InitToken"}, func() error { return m.ck.InitToken(slot, pin, padded) })
}

// MaxLabel is how many bytes the label of a token has at most (CK_TOKEN_INFO).
const MaxLabel = 32

// MechanismType is a CK_MECHANISM_TYPE.
type MechanismType uint

// The mechanisms that this project uses.
const (
	CKM_RSA_PKCS_KEY_PAIR_GEN   MechanismType = pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN
	CKM_RSA_PKCS                MechanismType = pkcs11.CKM_RSA_PKCS
	CKM_RSA_PKCS_OAEP           MechanismType = pkcs11.CKM_RSA_PKCS_OAEP
	CKM_RSA_PKCS_PSS            MechanismType = pkcs11.CKM_RSA_PKCS_PSS
	CKM_SHA256_RSA_PKCS         MechanismType = pkcs11.CKM_SHA256_RSA_PKCS
	CKM_SHA384_RSA_PKCS         MechanismType = pkcs11.CKM_SHA384_RSA_PKCS
	CKM_SHA512_RSA_PKCS         MechanismType = pkcs11.CKM_SHA512_RSA_PKCS
	CKM_SHA256_RSA_PKCS_PSS     MechanismType = pkcs11.CKM_SHA256_RSA_PKCS_PSS
	CKM_SHA384_RSA_PKCS_PSS     MechanismType = pkcs11.CKM_SHA384_RSA_PKCS_PSS
	CKM_SHA512_RSA_PKCS_PSS     MechanismType = pkcs11.CKM_SHA512_RSA_PKCS_PSS
	CKM_EC_KEY_PAIR_GEN         MechanismType = pkcs11.CKM_EC_KEY_PAIR_GEN
	CKM_EC_EDWARDS_KEY_PAIR_GEN MechanismType = 0x1055 // PKCS#11 3.0
	CKM_ECDSA                   MechanismType = pkcs11.CKM_ECDSA
	CKM_ECDSA_SHA256            MechanismType = pkcs11.CKM_ECDSA_SHA256
	CKM_ECDSA_SHA384            MechanismType = pkcs11.CKM_ECDSA_SHA384
	CKM_ECDSA_SHA512            MechanismType = pkcs11.CKM_ECDSA_SHA512
	CKM_EDDSA                   MechanismType = 0x1057 // PKCS#11 3.0
	CKM_ML_DSA_KEY_PAIR_GEN     MechanismType = 0x1c   // PKCS#11 3.2
	CKM_ML_DSA                  MechanismType = 0x1d   // PKCS#11 3.2
	CKM_ECDH1_DERIVE            MechanismType = pkcs11.CKM_ECDH1_DERIVE
	CKM_ECDH1_COFACTOR_DERIVE   MechanismType = pkcs11.CKM_ECDH1_COFACTOR_DERIVE
	CKM_AES_KEY_GEN             MechanismType = pkcs11.CKM_AES_KEY_GEN
	CKM_AES_ECB                 MechanismType = pkcs11.CKM_AES_ECB
	CKM_AES_CMAC                MechanismType = pkcs11.CKM_AES_CMAC
	CKM_GENERIC_SECRET_KEY_GEN  MechanismType = pkcs11.CKM_GENERIC_SECRET_KEY_GEN
	CKM_SHA256_HMAC             MechanismType = pkcs11.CKM_SHA256_HMAC
	CKM_SHA_1_HMAC              MechanismType = pkcs11.CKM_SHA_1_HMAC
)

// MechanismInfo is CK_MECHANISM_INFO. Its bounds are hints: some tokens refuse sizes within them.
type MechanismInfo struct {
	MinKeySize, MaxKeySize uint // bits, or bytes where the mechanism's page says so; 0 where it has none
	Flags                  uint
}

// GetMechanismList gives the mechanisms of the token in a slot, in the module's order.
func (m *Module) GetMechanismList(ctx context.Context, slot uint) ([]MechanismType, error) {
	return invoke(ctx, m, &Call{Function: "C_GetMechanismList"}, func() ([]MechanismType, error) {
		list, err := m.ck.GetMechanismList(slot)
		types := make([]MechanismType, len(list))
		for i, t := range list {
			types[i] = MechanismType(t)
		}
		return types, err
	})
}

// GetMechanismInfo describes one mechanism of the token in a slot.
func (m *Module) GetMechanismInfo(ctx context.Context, slot uint, t MechanismType) (MechanismInfo, error) {
	call := &Call{Function: "C_GetMechanismInfo", Mechanism: t}
	return invoke(ctx, m, call, func() (MechanismInfo, error) {
		i, err := m.ck.GetMechanismInfo(slot, uint(call.Mechanism))
		return MechanismInfo(i), err
	})
}
