package object

import (
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// Claims are what the token says of a private half, of a secret key, or of a public half that stands alone. What the
// token does not say is nil, or empty: never a guess. A claim proves nothing.
type Claims struct {
	Protected        *bool // CKA_PRIVATE: who wants to see or use the key has to log in
	Sensitive        *bool // CKA_SENSITIVE: the token does not reveal the value
	Extractable      *bool // CKA_EXTRACTABLE: another key may wrap it
	Local            *bool // CKA_LOCAL: made on this token
	AlwaysSensitive  *bool // CKA_ALWAYS_SENSITIVE
	NeverExtractable *bool // CKA_NEVER_EXTRACTABLE

	AlwaysAuthenticate *bool // CKA_ALWAYS_AUTHENTICATE: each use wants the PIN again
	Modifiable         *bool // CKA_MODIFIABLE
	Copyable           *bool // CKA_COPYABLE
	Destroyable        *bool // CKA_DESTROYABLE

	// Mechanisms are the only ones that the key may be used with (CKA_ALLOWED_MECHANISMS); none where all are allowed.
	Mechanisms []cryptoki.MechanismType
	// StartDate and EndDate are such as "2026-11-28" (CKA_START_DATE, CKA_END_DATE); "" where there is none.
	StartDate, EndDate string
}

// Claims gives what the token says of the object.
func (o Object) Claims() Claims {
	c := Claims{
		Protected: o.Claim(cryptoki.CKA_PRIVATE), Sensitive: o.Claim(cryptoki.CKA_SENSITIVE),
		Extractable: o.Claim(cryptoki.CKA_EXTRACTABLE), Local: o.Claim(cryptoki.CKA_LOCAL),
		AlwaysSensitive:    o.Claim(cryptoki.CKA_ALWAYS_SENSITIVE),
		NeverExtractable:   o.Claim(cryptoki.CKA_NEVER_EXTRACTABLE),
		AlwaysAuthenticate: o.Claim(cryptoki.CKA_ALWAYS_AUTHENTICATE), Modifiable: o.Claim(cryptoki.CKA_MODIFIABLE),
		Copyable: o.Claim(cryptoki.CKA_COPYABLE), Destroyable: o.Claim(cryptoki.CKA_DESTROYABLE),
	}
	if o.limits != nil {
		c.Mechanisms, c.StartDate, c.EndDate = o.limits.mechanisms, o.limits.start, o.limits.end
	}
	return c
}

// Unprotected says that the token lets everyone use the key: no PIN is needed, and none was needed to make it.
func (c Claims) Unprotected() bool { return c.Protected != nil && !*c.Protected }

// Allows says that the key may be used with one of the mechanisms.
func (c Claims) Allows(any ...cryptoki.MechanismType) bool {
	return len(c.Mechanisms) == 0 || slices.ContainsFunc(any, func(m cryptoki.MechanismType) bool {
		return slices.Contains(c.Mechanisms, m)
	})
}

// limits are what few keys have.
type limits struct {
	mechanisms []cryptoki.MechanismType
	start, end string
}

// limitsOf reads them; nil where there are none. Errors name the attribute.
func limitsOf(a cryptoki.Attributes) (*limits, error) {
	allowed, err := a.ULongs(cryptoki.CKA_ALLOWED_MECHANISMS)
	l := limits{start: date(a[cryptoki.CKA_START_DATE]), end: date(a[cryptoki.CKA_END_DATE])}
	for _, m := range allowed {
		l.mechanisms = append(l.mechanisms, cryptoki.MechanismType(m))
	}
	if err != nil || len(l.mechanisms) == 0 && l.start == "" && l.end == "" {
		return nil, err
	}
	return &l, nil
}

// date reads a CK_DATE: the digits of a year, a month and a day. What is none is "": some tokens show zeros where no
// date is set.
func date(b []byte) string {
	if len(b) != 8 || slices.ContainsFunc(b, func(c byte) bool { return c < '0' || c > '9' }) || string(b) == "00000000" {
		return ""
	}
	return string(b[:4]) + "-" + string(b[4:6]) + "-" + string(b[6:])
}
