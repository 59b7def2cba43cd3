package hsm

import (
	"context"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// proveMLDSA verifies what the private half signs: pure ML-DSA without a context, which is what CKM_ML_DSA without a
// parameter is (PKCS#11 3.2, CKM_ML_DSA).
func proveMLDSA(ctx context.Context, s *cryptoki.Session, pair object.Key) error {
	mechanism := cryptoki.Mechanism{Type: cryptoki.CKM_ML_DSA, OutputLength: publickey.SignatureSize(pair.PublicKey)}
	signature, err := s.Sign(ctx, mechanism, pair.Private.Handle, proofText(pair))
	if err != nil {
		return err
	}
	if !publickey.Verify(pair.PublicKey, proofText(pair), signature) {
		return errDisproved
	}
	return nil
}
