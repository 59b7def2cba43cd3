package cryptoki_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// BenchmarkRead finds 2,000 objects and reads of each what a listing of keys reads.
func BenchmarkRead(b *testing.B) {
	ctx := context.Background()
	s := session(b)
	p256 := []byte{6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7}
	for i := range 1000 {
		id := cryptoki.Bytes(cryptoki.CKA_ID, strconv.AppendInt(nil, int64(i), 10))
		token := cryptoki.Bool(cryptoki.CKA_TOKEN, false)
		public := []cryptoki.Attribute{token, id, cryptoki.Bytes(cryptoki.CKA_EC_PARAMS, p256)}
		mechanism := cryptoki.Mechanism{Type: cryptoki.CKM_EC_KEY_PAIR_GEN}
		if _, err := s.GenerateKeyPair(ctx, mechanism, public, []cryptoki.Attribute{token, id}); err != nil {
			b.Fatal(err)
		}
	}
	types := []cryptoki.AttributeType{
		cryptoki.CKA_CLASS, cryptoki.CKA_KEY_TYPE, cryptoki.CKA_ID, cryptoki.CKA_LABEL, cryptoki.CKA_TOKEN,
		cryptoki.CKA_PRIVATE, cryptoki.CKA_SENSITIVE, cryptoki.CKA_EXTRACTABLE, cryptoki.CKA_LOCAL, cryptoki.CKA_SIGN,
		cryptoki.CKA_VERIFY, cryptoki.CKA_ENCRYPT, cryptoki.CKA_DECRYPT, cryptoki.CKA_WRAP, cryptoki.CKA_UNWRAP,
		cryptoki.CKA_DERIVE, cryptoki.CKA_MODULUS, cryptoki.CKA_PUBLIC_EXPONENT, cryptoki.CKA_EC_PARAMS,
		cryptoki.CKA_EC_POINT,
	}
	b.ReportAllocs()
	for b.Loop() {
		objects, err := s.FindObjects(ctx, nil)
		if err != nil || len(objects) != 2000 {
			b.Fatal(len(objects), err)
		}
		for _, object := range objects {
			if _, err := s.GetAttributeValue(ctx, object, types); err != nil {
				b.Fatal(err)
			}
		}
	}
}
